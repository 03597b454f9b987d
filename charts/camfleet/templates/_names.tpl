{{- /* Names are fixed, not derived from the release: there is one release a cluster. */ -}}

{{- define "camfleet.selector" -}}
app.kubernetes.io/name: camfleet
app.kubernetes.io/component: operator
{{- end }}

{{- define "camfleet.labels" -}}
{{ include "camfleet.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "camfleet.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
