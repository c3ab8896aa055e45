{{- define "dht.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Cut at 52: the controller adds 11 characters to the pods' revision label, which ends at 63. */}}
{{- define "dht.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "dht.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Only these select: they never change, so an upgrade never meets an immutable field. */}}
{{- define "dht.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dht.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dht.labels" -}}
helm.sh/chart: {{ include "dht.chart" . }}
{{ include "dht.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: call with a dict of root, name, and optionally component, labels, annotations. */}}
{{- define "dht.metadata" -}}
name: {{ .name }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
  {{- include "dht.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "dht.headlessName" -}}
{{- printf "%s-headless" (include "dht.fullname" .) -}}
{{- end -}}

{{- define "dht.canaryName" -}}
{{- printf "%s-canary" (include "dht.fullname" .) -}}
{{- end -}}

{{- define "dht.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dht.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "dht.secretName" -}}
{{- default (printf "%s-cluster" (include "dht.fullname" .)) .Values.cluster.existingSecret -}}
{{- end -}}

{{- define "dht.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "dht.imagePullSecrets" -}}
{{- with concat (default (list) .Values.global.imagePullSecrets) (default (list) .Values.imagePullSecrets) }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Domain of the pods' names, with a final dot: without it each look-up is tried with every search domain first. */}}
{{- define "dht.peerDomain" -}}
{{- printf "%s.%s.svc.%s." (include "dht.headlessName" .) .Release.Namespace (trimSuffix "." .Values.cluster.domain) -}}
{{- end -}}

{{- define "dht.seeds" -}}
{{- $seeds := list -}}
{{- range $i := until (int .Values.cluster.seedCount) -}}
{{- $seeds = append $seeds (printf "%s-%d.%s:%d" (include "dht.fullname" $) $i (include "dht.peerDomain" $) (int $.Values.peer.port)) -}}
{{- end -}}
{{- join "," $seeds -}}
{{- end -}}

{{- define "dht.isOpenshift" -}}
{{- if or (eq .Values.openshift.adaptSecurityContext "force") (and (eq .Values.openshift.adaptSecurityContext "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
true
{{- end -}}
{{- end -}}

{{- define "dht.podSecurityContext" -}}
{{- $context := deepCopy .Values.podSecurityContext -}}
{{- range $key := list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- if or (include "dht.isOpenshift" $) (kindIs "invalid" (index $context $key)) -}}
{{- $context = omit $context $key -}}
{{- end -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "dht.spread" -}}
{{- if ne .mode "off" }}
- maxSkew: 1
  topologyKey: {{ .key }}
  whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq .mode "hard") }}
  labelSelector:
    matchLabels:
      {{- include "dht.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: node
{{- end }}
{{- end -}}

{{/* Every mistake in the values at once, as a list that people can read. */}}
{{- define "dht.validate" -}}
{{- $mistakes := list -}}
{{- if ne .Values.podManagementPolicy "Parallel" -}}
{{- $mistakes = append $mistakes "podManagementPolicy must be Parallel: with OrderedReady the second pod waits for the first to be ready, and the first for the second" -}}
{{- end -}}
{{- $needed := add .Values.shutdown.drainDelaySeconds .Values.shutdown.httpDrainSeconds .Values.shutdown.flushSeconds 15 -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- $mistakes = append $mistakes (printf "terminationGracePeriodSeconds is %d: drain delay, HTTP drain, flush and 15 s of margin need %d" (int .Values.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- if and (not .Values.kubernetes.enabled) (not .Values.cluster.existingSecret) -}}
{{- $mistakes = append $mistakes "kubernetes.enabled=false needs cluster.existingSecret: without the API the nodes can't agree on a secret by themselves" -}}
{{- end -}}
{{- if and (not .Values.kubernetes.enabled) (eq .Values.shutdown.leavePolicy "auto") (eq .Values.persistence.retentionPolicy.whenScaled "Delete") -}}
{{- $mistakes = append $mistakes "persistence.retentionPolicy.whenScaled=Delete with kubernetes.enabled=false: nodes that are scaled away don't hand over their data before their volume is deleted" -}}
{{- end -}}
{{- if and (eq .Values.shutdown.leavePolicy "never") (eq .Values.persistence.retentionPolicy.whenScaled "Delete") -}}
{{- $mistakes = append $mistakes "persistence.retentionPolicy.whenScaled=Delete with shutdown.leavePolicy=never: nodes that are scaled away don't hand over their data before their volume is deleted" -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- $mistakes = append $mistakes "metrics.podMonitor and metrics.serviceMonitor are both enabled: every series would be scraped twice" -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.minAvailable .Values.podDisruptionBudget.maxUnavailable -}}
{{- $mistakes = append $mistakes "podDisruptionBudget has both minAvailable and maxUnavailable: set one of them to null" -}}
{{- end -}}
{{- if gt (int .Values.cluster.bootstrapExpect) (int .Values.cluster.seedCount) -}}
{{- $mistakes = append $mistakes (printf "cluster.bootstrapExpect is %d: at most cluster.seedCount, %d, whose names every node is given" (int .Values.cluster.bootstrapExpect) (int .Values.cluster.seedCount)) -}}
{{- end -}}
{{- if and .Values.canary.enabled .Values.gateway.auth.existingSecret (not .Values.canary.tokenSecret.name) -}}
{{- $mistakes = append $mistakes "canary.enabled with gateway.auth.existingSecret needs canary.tokenSecret.name: the canary is a client like any other" -}}
{{- end -}}
{{- if $mistakes -}}
{{- fail (printf "\n\nThe values of dht don't fit together:\n- %s\n" (join "\n- " $mistakes)) -}}
{{- end -}}
{{- end -}}

{{/* A pod of `helm test`: the node's own image, restricted like it. Call with a dict of root, script, args. */}}
{{- define "dht.testPod" -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "dht.imagePullSecrets" .root }}
securityContext:
  {{- include "dht.podSecurityContext" .root | nindent 2 }}
containers:
  - name: test
    image: {{ include "dht.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command:
      - node
      - /etc/dht-test/{{ .script }}
      {{- range .args }}
      - {{ . | quote }}
      {{- end }}
    {{- if .root.Values.gateway.auth.existingSecret }}
    env:
      - name: GATEWAY_TOKENS
        valueFrom:
          secretKeyRef:
            name: {{ .root.Values.gateway.auth.existingSecret }}
            key: tokens
    {{- end }}
    securityContext:
      {{- toYaml .root.Values.securityContext | nindent 6 }}
    resources:
      requests:
        cpu: 50m
        memory: 64Mi
      limits:
        memory: 256Mi
    volumeMounts:
      - name: scripts
        mountPath: /etc/dht-test
        readOnly: true
volumes:
  - name: scripts
    configMap:
      name: {{ include "dht.fullname" .root }}-test-scripts
{{- end -}}
