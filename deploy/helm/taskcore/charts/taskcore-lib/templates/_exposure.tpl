{{- /* Access to the API: a Service in the cluster, an Ingress from outside. */ -}}

{{- define "taskcore.service" -}}
{{- $port := (include "taskcore.facts" . | fromYaml).serves -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "taskcore.selector" (list . .Chart.Name) | nindent 4 }}
  ports:
    - name: {{ $port.name }}
      port: {{ $port.number }}
      targetPort: {{ $port.name }}
      appProtocol: http
{{- end -}}

{{- define "taskcore.ingress" -}}
{{- $ingress := .Values.ingress -}}
{{- if $ingress.enabled -}}
{{- if not $ingress.host -}}
  {{- fail "api.ingress is enabled but api.ingress.host is empty: set the host name of the API." -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
  {{- with $ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- with $ingress.tlsSecret }}
  tls:
    - hosts: [{{ $ingress.host | quote }}]
      secretName: {{ . | quote }}
  {{- end }}
  rules:
    - host: {{ $ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "taskcore.name" (list . .Chart.Name) }}
                port: {name: {{ (include "taskcore.facts" . | fromYaml).serves.name }}}
{{- end -}}
{{- end -}}
