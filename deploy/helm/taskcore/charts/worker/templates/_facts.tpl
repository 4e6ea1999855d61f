{{- /* Facts about this service for the library chart. After the grace period it kills remaining tasks and exits within 8 s,
       which include kill_after_s. The rest is a margin for the node. */ -}}
{{- define "taskcore.facts.worker" -}}
image: worker
args: [run]
needs: [database, amqp]
requests: {cpu: 500m, memory: 512Mi}
smallRequests: {cpu: 100m, memory: 256Mi}
graceSeconds: {{ addf .Values.graceSeconds 15 | ceil | int }}
settings:
  - {name: worker.processes, value: processes}
  - {name: worker.threads, value: threads}
  - {name: worker.queues, value: queues}
  - {name: worker.grace_s, value: graceSeconds}
{{- end -}}
