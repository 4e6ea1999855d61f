{{- /* Where PostgreSQL and RabbitMQ are: a Secret's name and key, as JSON. Neither, or both, fails with what to do. */ -}}

{{- define "taskcore.databaseSecret" -}}
{{- $given := .Values.global.database -}}
{{- if and $given.existingSecret $given.development -}}
  {{- fail "global.database: either existingSecret or development, not both: the one names your PostgreSQL, the other starts one." -}}
{{- else if $given.existingSecret -}}
  {{- dict "name" $given.existingSecret "key" $given.key | toJson -}}
{{- else if $given.development -}}
  {{- dict "name" (include "taskcore.statefulName" (list . "postgresql")) "key" "database_url" | toJson -}}
{{- else -}}
  {{- fail "Taskcore needs a PostgreSQL. Name a Secret that has its URL: global.database.existingSecret, with the key global.database.key (database_url). Or, to try it: --set global.database.development=true starts one in the cluster." -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.amqpSecret" -}}
{{- $given := .Values.global.amqp -}}
{{- if and $given.existingSecret $given.development -}}
  {{- fail "global.amqp: either existingSecret or development, not both: the one names your RabbitMQ, the other starts one." -}}
{{- else if $given.existingSecret -}}
  {{- dict "name" $given.existingSecret "key" $given.key | toJson -}}
{{- else if $given.development -}}
  {{- dict "name" (include "taskcore.statefulName" (list . "rabbitmq")) "key" "amqp_url" | toJson -}}
{{- else -}}
  {{- fail "Taskcore needs a RabbitMQ. Name a Secret that has its URL: global.amqp.existingSecret, with the key global.amqp.key (amqp_url). Or, to try it: --set global.amqp.development=true starts one in the cluster." -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.databaseEnvironment" -}}
- name: TASKCORE_DATABASE_URL
  valueFrom:
    secretKeyRef: {{ include "taskcore.databaseSecret" . }}
{{- end -}}

{{- define "taskcore.amqpEnvironment" -}}
- name: TASKCORE_AMQP_URL
  valueFrom:
    secretKeyRef: {{ include "taskcore.amqpSecret" . }}
{{- end -}}
