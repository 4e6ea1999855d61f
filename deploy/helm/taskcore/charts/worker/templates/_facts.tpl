{{- /* What the library has to know of this service. After the grace of its tasks it kills what does not stop, and leaves:
       8 s at most, of which kill_after_s is a part. The rest is for the node. */ -}}
{{- define "taskcore.facts.worker" -}}
image: worker
args: [run]
port: {name: health, number: 5050}
needs: [database, amqp]
graceSeconds: {{ addf .Values.graceSeconds 15 | ceil | int }}
settings:
  - {name: worker.processes, value: processes}
  - {name: worker.threads, value: threads}
  - {name: worker.queues, value: queues}
  - {name: worker.grace_s, value: graceSeconds}
{{- end -}}
