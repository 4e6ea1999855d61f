{{- /* The Deployment of every service. A new version starts next to the old one, so capacity never drops. */ -}}
{{- define "taskcore.deployment" -}}
{{- $facts := include "taskcore.facts" . | fromYaml -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
  {{- $replicas := include "taskcore.replicas" . }}
  {{- if and $replicas (include "taskcore.isScaled" .) }}
  annotations:
    {{ include "taskcore.keepsReplicas" . }}: "true"
  {{- end }}
spec:
  {{- with $replicas }}
  replicas: {{ . }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "taskcore.selector" (list . .Chart.Name) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "taskcore.podLabels" (list . .Chart.Name) | nindent 8 }}
      annotations:
        checksum/config: {{ include "taskcore.config" . | sha256sum }}
        {{- with merge dict (.Values.podAnnotations | default dict) (.Values.global.podAnnotations | default dict) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "taskcore.name" (list . .Chart.Name) }}
      automountServiceAccountToken: {{ $facts.hasToken | default false }}
      terminationGracePeriodSeconds: {{ int $facts.graceSeconds }}
      {{- include "taskcore.podSecurity" (list . 10001) | nindent 6 }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "taskcore.selector" (list $ $.Chart.Name) | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- with include "taskcore.placement" . }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ .Values.image | default (include "taskcore.image" (list . $facts.image)) | quote }}
          imagePullPolicy: {{ .Values.global.image.pullPolicy }}
          {{- with $facts.args }}
          args: {{ toJson . }}
          {{- end }}
          env:
            {{- include "taskcore.environment" . | nindent 12 }}
          ports:
            {{- with $facts.serves }}
            - {name: {{ .name }}, containerPort: {{ .number }}}
            {{- end }}
            - {name: health, containerPort: 5050}
          {{- include "taskcore.probes" ($facts.readiness | default "/readyz") | nindent 10 }}
          {{- include "taskcore.containerSecurity" . | nindent 10 }}
          {{- include "taskcore.resources" (set (deepCopy .Values.resources) "requests" (include "taskcore.requests" . | fromYaml)) | nindent 10 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: config, mountPath: /etc/taskcore, readOnly: true}
            {{- if .Values.settingsSecret }}
            - {name: secrets, mountPath: /etc/taskcore-secrets, readOnly: true}
            {{- end }}
            {{- with .Values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ .Values.global.tmpSizeLimit | quote }}}
        - name: config
          configMap:
            name: {{ include "taskcore.name" (list . .Chart.Name) }}
        {{- with .Values.settingsSecret }}
        - name: secrets
          secret: {secretName: {{ . | quote }}, defaultMode: 0440}
        {{- end }}
        {{- with .Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- define "taskcore.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
  {{- with .Values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "taskcore.poddisruptionbudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "taskcore.selector" (list . .Chart.Name) | nindent 6 }}
{{- end -}}
