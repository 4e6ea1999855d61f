{{- /* The number of replicas: fixed, by CPU, or by the age of waiting tasks; only one of these. */ -}}

{{- define "taskcore.isScaled" -}}
{{- if or (dig "autoscaling" "enabled" false .Values.AsMap) (dig "keda" "enabled" false .Values.AsMap) }}yes{{ end -}}
{{- end -}}

{{- /* An autoscaler owns the number, so it is left out. But where the manifest had it before, a cluster would take its absence for
       1: then the present number is written, from the upgrade that enables the autoscaler on. The annotation remembers it. */ -}}
{{- define "taskcore.replicas" -}}
{{- if not (include "taskcore.isScaled" .) -}}
  {{- int .Values.replicas -}}
{{- else -}}
  {{- $name := include "taskcore.name" (list . .Chart.Name) -}}
  {{- $live := lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
  {{- if $live -}}
    {{- $isKept := hasKey (dig "metadata" "annotations" dict $live) (include "taskcore.keepsReplicas" .) -}}
    {{- if or $isKept (not (include "taskcore.liveScaler" (list . $name))) -}}
      {{- $scaling := dig "keda" "enabled" false .Values.AsMap | ternary (dig "keda" dict .Values.AsMap) .Values.autoscaling -}}
      {{- max (int (dig "spec" "replicas" 1 $live)) (int $scaling.minReplicas) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "taskcore.keepsReplicas" -}}
taskcore.io/keeps-replicas
{{- end -}}

{{- define "taskcore.liveScaler" -}}
{{- $root := index . 0 -}}
{{- $kind := dig "keda" "enabled" false $root.Values.AsMap | ternary (list "keda.sh/v1alpha1" "ScaledObject") (list "autoscaling/v2" "HorizontalPodAutoscaler") -}}
{{- if lookup (first $kind) (last $kind) $root.Release.Namespace (index . 1) }}yes{{ end -}}
{{- end -}}

{{- define "taskcore.horizontalpodautoscaler" -}}
{{- $scaling := .Values.autoscaling -}}
{{- if $scaling.enabled -}}
{{- if dig "keda" "enabled" false .Values.AsMap -}}
  {{- fail (printf "%s.autoscaling and %s.keda are both enabled: two autoscalers would work against each other. Enable only one." .Chart.Name .Chart.Name) -}}
{{- end -}}
{{- if not (include "taskcore.requests" . | fromYaml).cpu -}}
  {{- fail (printf "%s.autoscaling needs %s.resources.requests.cpu: its percentage refers to that request." .Chart.Name .Chart.Name) -}}
{{- end -}}
{{- include "taskcore.checkRange" (list $scaling (printf "%s.autoscaling" .Chart.Name)) -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "taskcore.name" (list . .Chart.Name) }}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int $scaling.cpuPercent }}}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end -}}
{{- end -}}

{{- define "taskcore.checkRange" -}}
{{- $given := index . 0 -}}
{{- if gt (int $given.minReplicas) (int $given.maxReplicas) -}}
  {{- fail (printf "%s.minReplicas is %d, more than maxReplicas, %d." (index . 1) (int $given.minReplicas) (int $given.maxReplicas)) -}}
{{- end -}}
{{- end -}}

{{- /* One replica per ageSeconds that the oldest task has waited: the number grows while the backlog does not shrink. */ -}}
{{- define "taskcore.scaledobject" -}}
{{- $keda := .Values.keda -}}
{{- if $keda.enabled -}}
{{- if not $keda.serverAddress -}}
  {{- fail (printf "%s.keda needs %s.keda.serverAddress: the URL of the Prometheus that has taskcore_queue_oldest_age_seconds." .Chart.Name .Chart.Name) -}}
{{- end -}}
{{- include "taskcore.checkRange" (list $keda (printf "%s.keda" .Chart.Name)) -}}
{{- $here := printf "namespace=%q" .Release.Namespace -}}
{{- $of := $here -}}
{{- with .Values.queues }}{{ $of = printf "%s,queue=~%q" $of (join "|" .) }}{{ end -}}
{{- /* Without waiting tasks the result is 0; without data from a coordinator the number of replicas stays as it is. */ -}}
{{- $query := printf "max(taskcore_queue_oldest_age_seconds{%s}) or 0 * max(taskcore_workers_live{%s})" $of $here -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "taskcore.name" (list . .Chart.Name) }}
  labels:
    {{- include "taskcore.labels" (list . .Chart.Name) | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ include "taskcore.name" (list . .Chart.Name) }}
  minReplicaCount: {{ int $keda.minReplicas }}
  maxReplicaCount: {{ int $keda.maxReplicas }}
  pollingInterval: 15
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown: {stabilizationWindowSeconds: 300}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $keda.serverAddress | quote }}
        query: {{ $keda.query | default $query | quote }}
        ignoreNullValues: "false"
        threshold: {{ $keda.ageSeconds | int | toString | quote }}
{{- end -}}
{{- end -}}
