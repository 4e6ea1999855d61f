{{- /* Facts about this service for the library chart. It uses the worker's image. */ -}}
{{- define "taskcore.facts.coordinator" -}}
image: worker
args: [coordinate]
needs: [database, amqp]
graceSeconds: 30
{{- end -}}
