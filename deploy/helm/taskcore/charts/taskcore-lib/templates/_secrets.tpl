{{- /* Secrets that values name. Against a cluster, one that is missing fails here rather than in pods that wait for it in silence. */ -}}

{{- /* (list . "name" (list "key") "global.….existingSecret"): fails unless the cluster has the Secret with these keys, which that
       value names. An empty key is none. */ -}}
{{- define "taskcore.requireSecret" -}}
{{- $namespace := (index . 0).Release.Namespace -}}
{{- $name := index . 1 -}}
{{- $secret := lookup "v1" "Secret" $namespace $name -}}
{{- if not $secret -}}
  {{- fail (printf "There is no Secret %s in the namespace %s, which %s names. Create it first." $name $namespace (index . 3)) -}}
{{- end -}}
{{- range compact (index . 2) -}}
  {{- if not (hasKey ($secret.data | default dict) .) -}}
    {{- fail (printf "The Secret %s in the namespace %s has no key %s; it has: %s." $name $namespace . (keys ($secret.data | default dict) | sortAlpha | join ", " | default "none")) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* Every namespace has a ServiceAccount default: without it there is no cluster (helm template), or not yet the namespace. */ -}}
{{- define "taskcore.requireSecrets" -}}
{{- $global := .Values.global -}}
{{- if lookup "v1" "ServiceAccount" .Release.Namespace "default" -}}
  {{- with $global.database.existingSecret -}}
    {{- include "taskcore.requireSecret" (list $ . (list $global.database.key $global.database.directKey $global.database.ownerKey) "global.database.existingSecret") -}}
  {{- end -}}
  {{- with $global.amqp.existingSecret -}}
    {{- include "taskcore.requireSecret" (list $ . (list $global.amqp.key) "global.amqp.existingSecret") -}}
  {{- end -}}
  {{- if and $global.tracing.endpoint $global.tracing.headersSecret -}}
    {{- include "taskcore.requireSecret" (list $ $global.tracing.headersSecret (list $global.tracing.headersKey) "global.tracing.headersSecret") -}}
  {{- end -}}
  {{- range list "api" "coordinator" "worker" "collector-analytics" "collector-k8s" -}}
    {{- $service := get $.Values . -}}
    {{- if and $service.enabled $service.settingsSecret -}}
      {{- include "taskcore.requireSecret" (list $ $service.settingsSecret list (printf "%s.settingsSecret" .)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
