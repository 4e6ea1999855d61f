{{- /* Facts about this service for the library chart. It uses the worker's image. */ -}}
{{- define "taskcore.facts.coordinator" -}}
image: worker
args: [coordinate]
needs: [database, amqp]
requests: {cpu: 100m, memory: 128Mi}
smallRequests: {cpu: 25m, memory: 128Mi}
graceSeconds: 30
{{- end -}}
