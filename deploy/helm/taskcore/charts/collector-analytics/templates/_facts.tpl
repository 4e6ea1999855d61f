{{- /* What the library has to know of this service. It is a worker of its own queue, with that one's grace of 25 s. */ -}}
{{- define "taskcore.facts.collector-analytics" -}}
image: collector-analytics
port: {name: health, number: 5050}
needs: [database, amqp]
graceSeconds: 40
settings:
  - {name: worker.grace_s, is: 25}
{{- end -}}
