{{- define "voltgate.labels" -}}
app.kubernetes.io/name: voltgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "voltgate.selector" -}}
app.kubernetes.io/name: voltgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Seconds until the last charger of a full worker is closed, jitter included, and what it had begun is finished. */}}
{{- define "voltgate.deadline" -}}
{{- add (ceil (divf (mulf .Values.limits.maxConnections 1.2) .Values.drain.rate)) 30 -}}
{{- end }}

{{/* And the grace before it, and the end of the process. */}}
{{- define "voltgate.terminationGrace" -}}
{{- add (ceil .Values.drain.grace) (include "voltgate.deadline" . | int) 15 -}}
{{- end }}
