/**
 * The chart as files: its values, its rendered manifests, and Helm where there is one. Rendering needs Helm, which npm
 * doesn't offer; what is committed in k8s/base is a render, so that most can be checked without it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const CHART = path.join(ROOT, 'charts/dht');
export const BASE = path.join(ROOT, 'k8s/base/dht.yaml');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

export function readText(file: string): string {
  return readFileSync(file, 'utf8');
}

export function values(file: string): unknown {
  return parse(readText(path.join(CHART, file)));
}

/** `ci/x-values.yaml`, ... */
export function ciValues(): readonly string[] {
  return readdirSync(path.join(CHART, 'ci')).map((name) => `ci/${name}`);
}

export function manifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0] ?? new Error('no YAML');
    return document.toJS() as Manifest | null;
  }).filter((manifest) => manifest !== null);
}

/** Helm as told by DHT_TEST_HELM or found on the PATH; null: there is none. */
export const HELM: string | null = [process.env['DHT_TEST_HELM'] ?? 'helm', 'helm', 'helm3'].find((name) => spawnSync(name, ['version', '--short']).status === 0) ?? null;

export type Rendered = { readonly kind: 'rendered'; readonly text: string } | { readonly kind: 'failed'; readonly message: string };

/** `helm template` of a release in a namespace of those names. */
export function render(release: string, namespace: string, args: readonly string[]): Rendered {
  // A Helm built without a version says that it is Kubernetes 1.20.
  const { status, stdout, stderr } = spawnSync(HELM ?? 'helm', ['template', release, CHART, '--namespace', namespace, '--kube-version', '1.34.0', ...args], { encoding: 'utf8' });
  return status === 0 ? { kind: 'rendered', text: stdout } : { kind: 'failed', message: stderr };
}
