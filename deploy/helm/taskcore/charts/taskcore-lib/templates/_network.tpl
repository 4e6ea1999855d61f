{{- /* What is not named here is not let through, where the cluster's network enforces policies. Probes come from the node and
       need no rule. */ -}}

{{- define "taskcore.networkpolicy" -}}
{{- $network := .Values.global.networkPolicy -}}
{{- if $network.enabled -}}
{{- $facts := include "taskcore.facts" . | fromYaml -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "taskcore.selector" (list . .Chart.Name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if or $facts.serves $network.metricsFrom }}
  ingress:
    {{- with $facts.serves }}
    - from:
        {{- with $network.apiFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - podSelector:
            matchLabels:
              {{- include "taskcore.selector" (list $ "test") | nindent 14 }}
      ports: [{protocol: TCP, port: {{ .number }}}]
    {{- end }}
    {{- with $network.metricsFrom }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports: [{protocol: TCP, port: 5050}]
    {{- end }}
  {{- end }}
  egress:
    {{- if .Values.openEgress }}
    - {}
    {{- else }}
    {{- include "taskcore.egressToDns" . | nindent 4 }}
    {{- range $facts.needs }}
    {{- include (printf "taskcore.%sEgress" .) $ | nindent 4 }}
    {{- end }}
    {{- include "taskcore.egressToTracing" . | nindent 4 }}
    {{- if $facts.hasToken }}
    - ports: {{ $network.clusterPorts | include "taskcore.tcpPorts" }}
    {{- end }}
    {{- with .Values.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "taskcore.tcpPorts" -}}
{{- $ports := list -}}
{{- range . }}{{ $ports = append $ports (dict "protocol" "TCP" "port" (int .)) }}{{ end -}}
{{- $ports | toJson -}}
{{- end -}}

{{- define "taskcore.egressToDns" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end -}}

{{- define "taskcore.databaseEgress" -}}
- ports: {{ list .Values.global.networkPolicy.databasePort | include "taskcore.tcpPorts" }}
  {{- if .Values.global.database.development }}
  to:
    - podSelector:
        matchLabels:
          {{- include "taskcore.selector" (list . "postgresql") | nindent 10 }}
  {{- else }}
  {{- include "taskcore.peers" .Values.global.networkPolicy.databaseTo | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "taskcore.amqpEgress" -}}
- ports: {{ list .Values.global.networkPolicy.amqpPort | include "taskcore.tcpPorts" }}
  {{- if .Values.global.amqp.development }}
  to:
    - podSelector:
        matchLabels:
          {{- include "taskcore.selector" (list . "rabbitmq") | nindent 10 }}
  {{- else }}
  {{- include "taskcore.peers" .Values.global.networkPolicy.amqpTo | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* Without peers: any address on that port. */ -}}
{{- define "taskcore.peers" -}}
{{- with . -}}
to:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* Allows the port of the trace endpoint, and for the API also the port where it queries traces. */ -}}
{{- define "taskcore.egressToTracing" -}}
{{- $urls := list .Values.global.tracing.endpoint -}}
{{- if eq .Chart.Name "api" }}{{ $urls = append $urls .Values.global.tracing.queryUrl }}{{ end -}}
{{- $ports := list -}}
{{- range compact $urls -}}
  {{- $url := urlParse (splitList "{" . | first) -}}
  {{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
  {{- $ports = append $ports ($port | default (eq $url.scheme "https" | ternary 443 80) | int) -}}
{{- end -}}
{{- with uniq $ports -}}
- ports: {{ include "taskcore.tcpPorts" . }}
{{- end -}}
{{- end -}}
