{{- /* The requirements of RabbitMQ's official image. Its root is read-only. Its cookie, which only the owner may read, is in scratch:
       in a volume, the volume's group would get access to it. */ -}}
{{- define "taskcore.rabbitmqContainer" -}}
env:
  - {name: RABBITMQ_DEFAULT_USER, value: taskcore}
  - name: RABBITMQ_DEFAULT_PASS
    valueFrom:
      secretKeyRef: {name: {{ include "taskcore.statefulName" (list . "rabbitmq") }}, key: password}
  - {name: RABBITMQ_MNESIA_BASE, value: /var/lib/rabbitmq/mnesia}
  - {name: RABBITMQ_NODENAME, value: rabbit@localhost}
startupProbe:
  tcpSocket: {port: amqp}
  initialDelaySeconds: 10
  periodSeconds: 3
  failureThreshold: 60
livenessProbe:
  tcpSocket: {port: amqp}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  tcpSocket: {port: amqp}
  periodSeconds: 5
  timeoutSeconds: 5
volumeMounts:
  - {name: data, mountPath: /var/lib/rabbitmq/mnesia}
  - {name: home, mountPath: /var/lib/rabbitmq}
  - {name: log, mountPath: /var/log/rabbitmq}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "taskcore.rabbitmqScratch" -}}
[home, log, tmp]
{{- end -}}
