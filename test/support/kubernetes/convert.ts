import { convertManifests } from '../../../src/kubernetes/convert-manifests.ts'
import { parseManifests } from '../../../src/kubernetes/manifest.ts'

/** What the documents of one file become. */
export const convert = (...texts: string[]) =>
  convertManifests(parseManifests('app.yml', texts.join('')))

/** A Deployment `web` with a pod of this: lines of its `spec`, indented by six. */
export const deploymentOf = (pod: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      ${pod}
`
