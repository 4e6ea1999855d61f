{{- /* Facts about this service for the library chart. It is a worker for its own queue, with a grace period of 25 s. */ -}}
{{- define "taskcore.facts.collector-analytics" -}}
image: collector-analytics
needs: [database, amqp]
requests: {cpu: 50m, memory: 128Mi}
smallRequests: {cpu: 25m, memory: 128Mi}
graceSeconds: 40
settings:
  - {name: worker.grace_s, is: 25}
{{- end -}}
