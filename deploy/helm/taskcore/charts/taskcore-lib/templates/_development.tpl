{{- /* Development servers: one replica each of the official image, with generated passwords. */ -}}

{{- /* Generated at the first installation and kept. Without access to the cluster (helm template) it is new each time.
       (list . key) */ -}}
{{- define "taskcore.developmentPassword" -}}
{{- $root := index . 0 -}}
{{- $known := lookup "v1" "Secret" $root.Release.Namespace (include "taskcore.statefulName" (list $root $root.Chart.Name)) -}}
{{- $password := dig "data" (index . 1) "" ($known | default dict) | b64dec -}}
{{- $password | default (randAlphaNum 32) -}}
{{- end -}}

{{- /* Remains after helm uninstall, as the volume does: without it the data would be inaccessible. */ -}}
{{- define "taskcore.developmentSecret" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "taskcore.statefulName" (list $root $root.Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list $root $root.Chart.Name) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
type: Opaque
stringData:
  {{- index . 1 | nindent 2 }}
{{- end -}}

{{- define "taskcore.developmentService" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "taskcore.statefulName" (list $root $root.Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list $root $root.Chart.Name) | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "taskcore.selector" (list $root $root.Chart.Name) | nindent 4 }}
  ports:
    - {name: {{ index . 1 }}, port: {{ index . 2 }}, targetPort: {{ index . 1 }}}
{{- end -}}

{{- define "taskcore.developmentNetworkpolicy" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.global.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "taskcore.statefulName" (list $root $root.Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list $root $root.Chart.Name) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "taskcore.selector" (list $root $root.Chart.Name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: taskcore
              app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
      ports: [{protocol: TCP, port: {{ index . 1 }}}]
  egress:
    {{- include "taskcore.egressToDns" $root | nindent 4 }}
{{- end -}}
{{- end -}}

{{- /* The StatefulSet without its container. (list . port-name port) */ -}}
{{- define "taskcore.developmentStatefulset" -}}
{{- $root := index . 0 -}}
{{- $of := list $root $root.Chart.Name -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "taskcore.statefulName" $of }}
  labels:
    {{- include "taskcore.labels" $of | nindent 4 }}
spec:
  serviceName: {{ include "taskcore.statefulName" $of }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "taskcore.selector" $of | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "taskcore.podLabels" $of | nindent 8 }}
      {{- with $root.Values.global.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 60
      {{- include "taskcore.podSecurity" (list $root 999) | nindent 6 }}
      {{- with include "taskcore.placement" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ $root.Chart.Name }}
          image: {{ $root.Values.image | quote }}
          ports:
            - {name: {{ index . 1 }}, containerPort: {{ index . 2 }}}
          {{- include (printf "taskcore.%sContainer" $root.Chart.Name) $root | nindent 10 }}
          {{- include "taskcore.containerSecurity" $root | nindent 10 }}
          {{- include "taskcore.resources" $root.Values.resources | nindent 10 }}
      volumes:
        {{- range (include (printf "taskcore.%sScratch" $root.Chart.Name) $root | fromYamlArray) }}
        - name: {{ . }}
          emptyDir: {}
        {{- end }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $root.Values.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests: {storage: {{ $root.Values.storage | quote }}}
{{- end -}}

{{- /* The passwords, and the URLs that contain them: of the services' role, and two that only the migration gets. */ -}}
{{- define "taskcore.postgresqlSecret" -}}
{{- $admin := include "taskcore.developmentPassword" (list . "password") -}}
{{- $owner := include "taskcore.developmentPassword" (list . "owner_password") -}}
{{- $runtime := include "taskcore.developmentPassword" (list . "runtime_password") -}}
{{- $host := include "taskcore.statefulName" (list . "postgresql") -}}
{{- $data := dict "password" $admin "owner_password" $owner "runtime_password" $runtime -}}
{{- $_ := set $data "database_url" (printf "postgresql://taskcore:%s@%s:5432/taskcore" $runtime $host) -}}
{{- $_ := set $data "database_owner_url" (printf "postgresql://taskcore_owner:%s@%s:5432/taskcore" $owner $host) -}}
{{- $_ := set $data "database_admin_url" (printf "postgresql://postgres:%s@%s:5432/postgres" $admin $host) -}}
{{- include "taskcore.developmentSecret" (list . ($data | toYaml)) -}}
{{- end -}}
