{{- /* Facts about this service for the library chart. It is the only one with a token, because only it uses the API of the cluster. */ -}}
{{- define "taskcore.facts.collector-k8s" -}}
image: collector-k8s
needs: [database]
graceSeconds: 30
hasToken: {{ .Values.ownCluster }}
settings:
  - {name: kubernetes.cluster, value: cluster}
  - {name: kubernetes.namespaces, value: namespaces}
  - {name: kubernetes.read_pods, value: readPods}
{{- end -}}
