{{- /* The addresses of PostgreSQL and RabbitMQ: the name and key of a Secret, as JSON. Neither or both sources fail with what to do. */ -}}

{{- define "taskcore.databaseSecret" -}}
{{- $given := .Values.global.database -}}
{{- if and $given.existingSecret $given.development -}}
  {{- fail "global.database: set either existingSecret, for your own PostgreSQL, or development, which starts one; not both." -}}
{{- else if $given.existingSecret -}}
  {{- dict "name" $given.existingSecret "key" $given.key | toJson -}}
{{- else if $given.development -}}
  {{- dict "name" (include "taskcore.statefulName" (list . "postgresql")) "key" "database_url" | toJson -}}
{{- else -}}
  {{- fail "Taskcore needs PostgreSQL. Set global.database.existingSecret to a Secret with its URL, under the key global.database.key (database_url). To try Taskcore, --set global.database.development=true starts one in the cluster." -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.amqpSecret" -}}
{{- $given := .Values.global.amqp -}}
{{- if and $given.existingSecret $given.development -}}
  {{- fail "global.amqp: set either existingSecret, for your own RabbitMQ, or development, which starts one; not both." -}}
{{- else if $given.existingSecret -}}
  {{- dict "name" $given.existingSecret "key" $given.key | toJson -}}
{{- else if $given.development -}}
  {{- dict "name" (include "taskcore.statefulName" (list . "rabbitmq")) "key" "amqp_url" | toJson -}}
{{- else -}}
  {{- fail "Taskcore needs RabbitMQ. Set global.amqp.existingSecret to a Secret with its URL, under the key global.amqp.key (amqp_url). To try Taskcore, --set global.amqp.development=true starts one in the cluster." -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.databaseEnvironment" -}}
- name: TASKCORE_DATABASE_URL
  valueFrom:
    secretKeyRef: {{ include "taskcore.databaseSecret" . }}
{{- with .Values.global.database.directKey }}
{{- $secret := include "taskcore.databaseSecret" $ | fromJson }}
- name: TASKCORE_DATABASE_DIRECT_URL
  valueFrom:
    secretKeyRef: {{ dict "name" $secret.name "key" . | toJson }}
{{- end }}
{{- end -}}

{{- /* The migration's: also as the owner of the tables, if that is another role, and as the development server's superuser. */ -}}
{{- define "taskcore.migrationEnvironment" -}}
{{- $secret := include "taskcore.databaseSecret" . | fromJson -}}
{{- $given := .Values.global.database -}}
{{- $owner := $given.development | ternary "database_owner_url" $given.ownerKey -}}
{{- include "taskcore.databaseEnvironment" . }}
{{- with $owner }}
- name: TASKCORE_DATABASE_OWNER_URL
  valueFrom:
    secretKeyRef: {{ dict "name" $secret.name "key" . | toJson }}
{{- end }}
{{- if $given.development }}
- name: TASKCORE_DATABASE_ADMIN_URL
  valueFrom:
    secretKeyRef: {{ dict "name" $secret.name "key" "database_admin_url" | toJson }}
{{- end }}
{{- end -}}

{{- define "taskcore.amqpEnvironment" -}}
- name: TASKCORE_AMQP_URL
  valueFrom:
    secretKeyRef: {{ include "taskcore.amqpSecret" . }}
{{- end -}}
