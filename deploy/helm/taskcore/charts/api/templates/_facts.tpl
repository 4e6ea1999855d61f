{{- /* Facts about this service for the library chart. After the stop signal it keeps responding for drainSeconds while /readyz
       fails, which replaces a preStop hook. Then requests in progress have ten seconds. */ -}}
{{- define "taskcore.facts.api" -}}
image: api
serves: {name: http, number: 8080}
needs: [database]
requests: {cpu: 200m, memory: 256Mi}
smallRequests: {cpu: 50m, memory: 128Mi}
graceSeconds: {{ addf .Values.drainSeconds 10 | ceil | int }}
settings:
  - {name: api.processes, value: processes}
  - {name: api.drain_s, value: drainSeconds}
{{- end -}}
