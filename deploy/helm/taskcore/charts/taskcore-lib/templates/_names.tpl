{{- /* Names and labels. All of them take (list . "component"). */ -}}

{{- /* RELEASE-taskcore-COMPONENT. A name that is too long (third item in the list, default 63) or not allowed for a Service is
       changed; a hash of the release then keeps it unique. */ -}}
{{- define "taskcore.name" -}}
{{- $release := (index . 0).Release.Name -}}
{{- $component := index . 1 -}}
{{- $limit := 63 -}}
{{- if gt (len .) 2 }}{{ $limit = index . 2 }}{{ end -}}
{{- $fit := regexReplaceAll "^([0-9])" ($release | replace "." "-") "r${1}" -}}
{{- if and (eq $fit $release) (le (len (printf "%s-taskcore-%s" $release $component)) $limit) -}}
  {{- printf "%s-taskcore-%s" $release $component -}}
{{- else -}}
  {{- $room := sub $limit (len (printf "-taskcore-%s-01234567" $component)) | int -}}
  {{- printf "%s-taskcore-%s-%s" (trunc $room $fit | trimSuffix "-") $component (sha256sum $release | trunc 8) -}}
{{- end -}}
{{- end -}}

{{- /* A StatefulSet's name is part of labels of its pods, with eleven more characters. */ -}}
{{- define "taskcore.statefulName" -}}
{{- include "taskcore.name" (list (index . 0) (index . 1) 52) -}}
{{- end -}}

{{- /* The selector of a component's pods. It must never change: selectors of Deployments are immutable. */ -}}
{{- define "taskcore.selector" -}}
app.kubernetes.io/name: taskcore
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "taskcore.labels" -}}
{{- $root := index . 0 -}}
{{ include "taskcore.selector" . }}
app.kubernetes.io/part-of: taskcore
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "taskcore-%s" $root.Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- /* Labels of pods: without versions, which would restart all pods with each version of the chart. */ -}}
{{- define "taskcore.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := include "taskcore.selector" . | fromYaml -}}
{{- $own = set $own "app.kubernetes.io/part-of" "taskcore" -}}
{{- merge $own ($root.Values.podLabels | default dict) ($root.Values.global.podLabels | default dict) | toYaml -}}
{{- end -}}

{{- /* The facts about a service: each chart has a _facts.tpl. */ -}}
{{- define "taskcore.facts" -}}
{{- include (printf "taskcore.facts.%s" .Chart.Name) . -}}
{{- end -}}
