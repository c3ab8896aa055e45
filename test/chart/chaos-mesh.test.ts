/** The experiments in k8s/chaos hold what the chart makes: whom they select, the container, and its volume. Chaos Mesh would select nothing, silently. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { BASE, manifests, readText, ROOT, values, type Manifest } from './chart-files.ts';

const FOLDER = path.join(ROOT, 'k8s/chaos');
/** The field that holds the experiment, by kind. */
const FIELDS: Readonly<Record<string, string>> = { PodChaos: 'podChaos', NetworkChaos: 'networkChaos', IOChaos: 'ioChaos', TimeChaos: 'timeChaos' };
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  PodChaos: ['pod-kill', 'pod-failure', 'container-kill'], NetworkChaos: ['partition', 'delay', 'loss', 'duplicate', 'corrupt'], IOChaos: ['latency', 'fault', 'attrOverride', 'mistake'], TimeChaos: ['undefined'],
};

interface Selector { readonly namespaces: readonly string[]; readonly labelSelectors: Readonly<Record<string, string>> }
interface Experiment {
  readonly action?: string;
  readonly mode: string;
  readonly selector: Selector;
  readonly target?: { readonly selector: Selector };
  readonly containerNames?: readonly string[];
  readonly volumePath?: string;
  readonly path?: string;
}
interface Template { readonly name: string; readonly templateType: string; readonly deadline: string; readonly children?: readonly string[] }
interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly name: string; readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[] }[] };
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const all = files.filter((name) => name !== 'kustomization.yaml').flatMap((name) => manifests(readText(path.join(FOLDER, name))));
const set = manifests(readText(BASE)).find(({ kind }) => kind === 'StatefulSet') as Manifest & { readonly spec: { readonly template: PodTemplate } };
const { metadata: pod, spec } = set.spec.template;
const container = spec.containers[0];

const experiments: readonly [string, string, Experiment][] = all.flatMap((manifest): [string, string, Experiment][] => {
  const { kind, metadata: { name } } = manifest;
  const own = manifest['spec'] as Record<string, unknown>;
  if (kind === 'Schedule') return [[name, own['type'] as string, own[FIELDS[own['type'] as string] ?? ''] as Experiment]];
  if (kind !== 'Workflow') return [[name, kind, own as unknown as Experiment]];
  const templates = own['templates'] as readonly (Template & Record<string, unknown>)[];
  return templates.filter(({ templateType }) => templateType in FIELDS).map((template) => [`${name} ${template.name}`, template.templateType, template[FIELDS[template.templateType] ?? ''] as Experiment]);
});

describe('the experiments of Chaos Mesh', () => {
  test('are of kinds that it knows, each under a name of its own', () => {
    for (const { apiVersion, kind } of all) {
      expect(apiVersion).toBe('chaos-mesh.org/v1alpha1');
      expect([...Object.keys(FIELDS), 'Schedule', 'Workflow']).toContain(kind);
    }
    expect(new Set(all.map(({ kind, metadata: { name } }) => `${kind} ${name}`)).size).toBe(all.length);
    expect(new Set(experiments.map(([, kind]) => kind))).toEqual(new Set(Object.keys(FIELDS)));
  });

  test.each(experiments)('%s selects the pods of the ring', (_name, kind, experiment) => {
    expect(ACTIONS[kind]).toContain(String(experiment.action));
    expect(['one', 'all']).toContain(experiment.mode);
    for (const selector of [experiment.selector, ...(experiment.target === undefined ? [] : [experiment.target.selector])]) {
      expect(selector.namespaces).toEqual([set.metadata.namespace]);
      expect(Object.keys(selector.labelSelectors)).toEqual(['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component']);
      expect(pod.labels).toMatchObject(selector.labelSelectors);
    }
  });

  test.each(experiments)('%s names the container and its volume', (_name, kind, { containerNames, volumePath, path: files }) => {
    if (containerNames !== undefined) expect(containerNames).toEqual([container?.name]);
    if (kind !== 'IOChaos') return;
    expect(volumePath).toBe(container?.volumeMounts.find(({ name }) => name === 'data')?.mountPath);
    expect(files).toBe(`${volumePath ?? ''}/**/*`);
  });

  test('of a workflow are all there, and no pod is away for so long that its data is copied anew', () => {
    const workflow = all.find(({ kind }) => kind === 'Workflow') as Manifest & { readonly spec: { readonly entry: string; readonly templates: readonly Template[] } };
    const names = workflow.spec.templates.map(({ name }) => name);
    const children = workflow.spec.templates.flatMap((template) => template.children ?? []);
    expect(names).toContain(workflow.spec.entry);
    expect(new Set([workflow.spec.entry, ...children])).toEqual(new Set(names));
    const outAfter = (values('values.yaml') as { readonly membership: { readonly outAfterSeconds: number } }).membership.outAfterSeconds;
    for (const template of workflow.spec.templates.filter(({ templateType }) => templateType in FIELDS)) expect(seconds(template.deadline)).toBeLessThan(outAfter / 2);
  });

  test('are applied by the kustomization as far as they run once', () => {
    const [kustomization] = manifests(readText(path.join(FOLDER, 'kustomization.yaml')));
    expect(kustomization?.['resources']).toEqual(['workflow.yaml']);
    expect(kustomization?.['namespace']).toBe(set.metadata.namespace);
  });
});

function seconds(duration: string): number {
  const [, count = '', unit] = /^(\d+)(s|m)$/.exec(duration) ?? [];
  return Number(count) * (unit === 'm' ? 60 : 1);
}
