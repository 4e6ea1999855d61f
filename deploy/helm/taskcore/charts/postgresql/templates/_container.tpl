{{- /* The requirements of PostgreSQL's official image. With a read-only root it writes to its volume, sockets and locks to scratch. */ -}}
{{- define "taskcore.postgresqlContainer" -}}
env:
  - name: POSTGRES_PASSWORD
    valueFrom:
      secretKeyRef: {name: {{ include "taskcore.statefulName" (list . "postgresql") }}, key: password}
{{- /* By TCP: while it initializes the database it listens only on its socket. */}}
startupProbe:
  exec: {command: [pg_isready, -q, -h, 127.0.0.1, -U, postgres]}
  initialDelaySeconds: 5
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  exec: {command: [pg_isready, -q, -h, 127.0.0.1, -U, postgres]}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  exec: {command: [pg_isready, -q, -h, 127.0.0.1, -U, postgres]}
  periodSeconds: 5
  timeoutSeconds: 5
volumeMounts:
  - {name: data, mountPath: /var/lib/postgresql}
  - {name: run, mountPath: /var/run/postgresql}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "taskcore.postgresqlScratch" -}}
[run, tmp]
{{- end -}}
