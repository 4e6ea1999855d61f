{{- /* What the library has to know of this service. Told to stop, it answers for drainSeconds more, while /readyz says so:
       that takes the place of a preStop hook. Then what is being answered gets ten seconds. */ -}}
{{- define "taskcore.facts.api" -}}
image: api
port: {name: http, number: 8080}
needs: [database]
graceSeconds: {{ addf .Values.drainSeconds 10 | ceil | int }}
settings:
  - {name: api.processes, value: processes}
  - {name: api.drain_s, value: drainSeconds}
{{- end -}}
