{{- /* Scrapes every pod on its health port, which no Service or Ingress publishes. */ -}}
{{- define "taskcore.monitor" -}}
{{- $monitoring := .Values.global.monitoring -}}
{{- if $monitoring.monitors -}}
{{- $network := .Values.global.networkPolicy -}}
{{- if and $network.enabled (not $network.metricsFrom) -}}
  {{- fail "global.monitoring.monitors is on, and the network policies let no Prometheus in: name its pods in global.networkPolicy.metricsFrom, as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]." -}}
{{- end -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- merge (include "taskcore.labels" (list . .Chart.Name) | fromYaml) ($monitoring.labels | default dict) | toYaml | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "taskcore.selector" (list . .Chart.Name) | nindent 6 }}
  podMetricsEndpoints:
    - port: health
      path: /metrics
      interval: {{ $monitoring.interval }}
{{- end -}}
{{- end -}}
