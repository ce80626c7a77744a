{{/* The name of everything in a release: no longer than Kubernetes allows for names of pods. */}}
{{- define "cresset.name" -}}
{{- if contains "cresset" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-cresset" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What selects the pod; never changes. */}}
{{- define "cresset.selector" -}}
app.kubernetes.io/name: cresset
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cresset.labels" -}}
{{ include "cresset.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The configuration: a secret, since keys may stand in it. */}}
{{- define "cresset.config" -}}
[server]
listen = "0.0.0.0:8080"
base-url = {{ .Values.baseUrl | quote }}

[store]
directory = "/var/lib/cresset/data"

[log]
format = "json"
level = {{ .Values.log.level | quote }}

[auth]
mode = "tokens"
{{ range .Values.clients }}
[[auth.client]]
name = {{ .name | quote }}
token-sha256 = {{ .tokenSha256 | quote }}
rights = {{ .rights | toJson }}
{{ end }}
{{- if and .Values.topics (not (contains "[topics]" .Values.config)) }}
[topics]
directory = "/etc/cresset/topics"
{{ end }}
{{- .Values.config }}
{{- end }}
