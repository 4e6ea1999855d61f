{{- /* What all pods have in common: services, migration and test. */ -}}

{{- /* (list . "api"): REGISTRY/PREFIX+SERVICE:TAG. A service can override it with its own image. */ -}}
{{- define "taskcore.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.global.image -}}
{{- $name := printf "%s%s:%s" $image.prefix (index . 1) ($image.tag | default $root.Chart.AppVersion) -}}
{{- if $image.registry }}{{ trimSuffix "/" $image.registry }}/{{ end }}{{ $name }}
{{- end -}}

{{- define "taskcore.podSecurity" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 1 }}
  runAsGroup: {{ index . 1 }}
  fsGroup: {{ index . 1 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with (index . 0).Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "taskcore.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* Without nulls, which remove a default, such as limits: {memory: null}: Helm keeps them in the values of subcharts. */ -}}
{{- define "taskcore.resources" -}}
{{- $kept := deepCopy . -}}
{{- range $of := list "requests" "limits" -}}
  {{- range $name, $amount := get $kept $of | default dict -}}
    {{- if kindIs "invalid" $amount }}{{ $_ := unset (get $kept $of) $name }}{{ end -}}
  {{- end -}}
{{- end -}}
resources:
  {{- toYaml $kept | nindent 2 }}
{{- end -}}

{{- /* Requests that are not given are those of _facts.tpl; beside development servers, which are for small clusters, smaller ones. */ -}}
{{- define "taskcore.requests" -}}
{{- $facts := include "taskcore.facts" . | fromYaml -}}
{{- $isTrial := or .Values.global.database.development .Values.global.amqp.development -}}
{{- $requests := $isTrial | ternary $facts.smallRequests $facts.requests -}}
{{- range $name, $amount := .Values.resources.requests | default dict }}{{ $_ := set $requests $name $amount }}{{ end -}}
{{- toYaml $requests -}}
{{- end -}}

{{- /* With the path for readiness. The first probe waits for the program to listen: each earlier one would be a Warning of the cluster. */ -}}
{{- define "taskcore.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  initialDelaySeconds: 5
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ . }}, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "taskcore.environment" -}}
{{- include "taskcore.dedupeEnvironment" (list (include "taskcore.baseEnvironment" . | fromYamlArray) .Values.global.extraEnv .Values.extraEnv) -}}
{{- end -}}

{{- /* Keeps the last of duplicate variables: a cluster rejects duplicate names. */ -}}
{{- define "taskcore.dedupeEnvironment" -}}
{{- $given := list -}}
{{- range . }}{{ $given = concat $given (. | default list) }}{{ end -}}
{{- $last := dict -}}
{{- range $given }}{{ $_ := set $last .name . }}{{ end -}}
{{- $kept := list -}}
{{- range $given -}}
  {{- if hasKey $last .name }}{{ $kept = append $kept (get $last .name) }}{{ $_ := unset $last .name }}{{ end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{- define "taskcore.baseEnvironment" -}}
- name: TASKCORE_CONFIG
  value: /etc/taskcore/taskcore.yaml
{{- range (include "taskcore.facts" . | fromYaml).needs }}
{{ include (printf "taskcore.%sEnvironment" .) $ }}
{{- end }}
{{- if .Values.settingsSecret }}
- name: TASKCORE_SECRETS_DIR
  value: /etc/taskcore-secrets
{{- end }}
{{- if and .Values.global.tracing.endpoint .Values.global.tracing.headersSecret }}
- name: TASKCORE_TRACING__HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .Values.global.tracing.headersSecret | quote }}
      key: {{ .Values.global.tracing.headersKey | quote }}
{{- end }}
{{- end -}}

{{- /* Scheduling: the values of the service, else the global ones. */ -}}
{{- define "taskcore.placement" -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with index $.Values $name | default (index $.Values.global $name) }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
