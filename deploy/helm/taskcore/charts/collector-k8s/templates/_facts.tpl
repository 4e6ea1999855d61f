{{- /* What the library has to know of this service. It alone may have a token, for it alone talks to the cluster. */ -}}
{{- define "taskcore.facts.collector-k8s" -}}
image: collector-k8s
port: {name: health, number: 5050}
needs: [database]
graceSeconds: 30
hasToken: {{ .Values.ownCluster }}
settings:
  - {name: kubernetes.cluster, value: cluster}
  - {name: kubernetes.namespaces, value: namespaces}
  - {name: kubernetes.read_pods, value: readPods}
{{- end -}}
