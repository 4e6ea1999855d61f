{{- /* Facts about this service for the library chart. It is the only one with a token, because only it uses the API of the cluster.
       Nothing waits for it: helm --wait must not fail because this API cannot be reached, while tasks run. So it is ready once it
       lives; whether it collects is in /readyz and in the alert TaskcoreEventWatchStale. */ -}}
{{- define "taskcore.facts.collector-k8s" -}}
image: collector-k8s
needs: [database]
requests: {cpu: 50m, memory: 128Mi}
smallRequests: {cpu: 25m, memory: 128Mi}
graceSeconds: 30
readiness: /livez
hasToken: {{ .Values.ownCluster }}
settings:
  - {name: kubernetes.cluster, value: cluster}
  - {name: kubernetes.namespaces, value: namespaces}
  - {name: kubernetes.read_pods, value: readPods}
{{- end -}}
