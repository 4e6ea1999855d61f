{{- /* The settings file of a service. It is JSON, because Helm writes large numbers in YAML in a form that is read back as text. */ -}}

{{- define "taskcore.config" -}}
{{- $global := .Values.global -}}
{{- $config := mergeOverwrite (deepCopy ($global.config | default dict)) (deepCopy (.Values.config | default dict)) -}}
{{- include "taskcore.rejectSettings" (list $config .Chart.Name) -}}
{{- $own := list
      (dict "name" "log.level" "is" $global.log.level "value" "global.log.level")
      (dict "name" "log.format" "is" $global.log.format "value" "global.log.format")
      (dict "name" "trace_url_template" "is" $global.traceUrlTemplate "value" "global.traceUrlTemplate") -}}
{{- if $global.tracing.endpoint -}}
  {{- $own = concat $own (list
        (dict "name" "tracing.endpoint" "is" $global.tracing.endpoint "value" "global.tracing.endpoint")
        (dict "name" "tracing.sample_ratio" "is" $global.tracing.sampleRatio "value" "global.tracing.sampleRatio")) -}}
{{- end -}}
{{- if $global.tracing.queryUrl -}}
  {{- $own = append $own (dict "name" "tracing.query_url" "is" $global.tracing.queryUrl "value" "global.tracing.queryUrl") -}}
{{- end -}}
{{- range (include "taskcore.facts" . | fromYaml).settings -}}
  {{- $is := .is -}}
  {{- if .value }}{{ $is = index $.Values .value }}{{ end -}}
  {{- $own = append $own (dict "name" .name "is" $is "value" (empty .value | ternary "" (printf "%s.%s" $.Chart.Name .value))) -}}
{{- end -}}
{{- range $own -}}
  {{- include "taskcore.setChartSetting" (list $config . $.Chart.Name) -}}
{{- end -}}
{{- $config | toPrettyJson -}}
{{- end -}}

{{- /* Adds a setting that has its own value to the config, which must not contain it. An empty value leaves the default of Taskcore. */ -}}
{{- define "taskcore.setChartSetting" -}}
{{- $config := index . 0 -}}
{{- $own := index . 1 -}}
{{- $path := splitList "." $own.name -}}
{{- $section := $config -}}
{{- if gt (len $path) 1 -}}
  {{- $_ := set $config (first $path) (get $config (first $path) | default dict) -}}
  {{- $section = get $config (first $path) -}}
{{- end -}}
{{- if hasKey $section (last $path) -}}
  {{- $instead := empty $own.value | ternary "it is not configurable." (printf "use the value %s instead." $own.value) -}}
  {{- fail (printf "%s.config or global.config sets %s, which the chart sets itself: %s" (index . 2) $own.name $instead) -}}
{{- end -}}
{{- if not (has $own.is (list nil "" list)) -}}
  {{- $_ := set $section (last $path) $own.is -}}
{{- end -}}
{{- if and (gt (len $path) 1) (empty $section) }}{{ $_ := unset $config (first $path) }}{{ end -}}
{{- end -}}

{{- /* Rejects settings that must not be in a ConfigMap, and settings that the chart relies on. */ -}}
{{- define "taskcore.rejectSettings" -}}
{{- $config := index . 0 -}}
{{- $service := index . 1 -}}
{{- $refused := dict
      "database_url" "it comes from a Secret: global.database.existingSecret."
      "database_direct_url" "it comes from a Secret: global.database.directKey."
      "database_owner_url" "only the migration may have it. Put it into that Secret, and name its key in global.database.ownerKey."
      "database_admin_url" "no service may have it. Run `taskcore db upgrade` with it yourself."
      "amqp_url" "it comes from a Secret: global.amqp.existingSecret."
      "databases" "their URLs are secrets. Put them into a Secret as JSON, under the key databases, and name it as settingsSecret of the service."
      "smtp.password" "it is a secret. Put it into a Secret, under the key smtp__password, and name it as settingsSecret of the service."
      "tracing.headers" "they are secrets. Put them into a Secret as JSON, and name it as global.tracing.headersSecret."
      "api.host" "in a pod the API listens on all addresses, of IPv4 and IPv6."
      "api.port" "the chart's Service and policies rely on 8080."
      "health.host" "in a pod /readyz is served on all addresses, of IPv4 and IPv6."
      "health.port" "the chart's probes and policies rely on 5050." -}}
{{- range $name, $why := $refused -}}
  {{- $path := splitList "." $name -}}
  {{- $section := $config -}}
  {{- if gt (len $path) 1 }}{{ $section = get $config (first $path) | default dict }}{{ end -}}
  {{- if hasKey $section (last $path) -}}
    {{- fail (printf "%s.config or global.config sets %s: %s" $service $name $why) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
data:
  taskcore.yaml: |
    {{- include "taskcore.config" . | nindent 4 }}
{{- end -}}
