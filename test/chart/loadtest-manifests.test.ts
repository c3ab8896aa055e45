/** The load test inside a cluster: whole, and of fields that the k6-operator and Kubernetes know. */
import { expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { BASE, manifests, readText, ROOT, type Manifest } from './chart-files.ts';
import { typeErrors } from './manifest-types.ts';

const LOADTEST = path.join(ROOT, 'loadtest');
const CONFIG_MAP_BYTES_MAX = 2 ** 20;

/** Of `TestRunSpec` and `Pod` in the operator's api/v1alpha1; what isn't a name there is dropped without a word. */
const SPEC_FIELDS = ['script', 'parallelism', 'separate', 'arguments', 'ports', 'initializer', 'starter', 'runner', 'quiet', 'paused', 'scuttle', 'cleanup', 'cloud'];
const OPERATOR_POD_FIELDS = ['disabled', 'metadata', 'initContainers'];
/** Where the operator puts the fields of its `Pod`; the rest belongs to the pod, under other names for two. */
const CONTAINER_FIELDS = ['env', 'image', 'imagePullPolicy', 'resources', 'envFrom', 'readinessProbe', 'livenessProbe', 'volumeMounts'];

interface OperatorPod {
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly volumes?: readonly { readonly name: string; readonly configMap: { readonly name: string } }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly [field: string]: unknown;
}
interface TestRun extends Manifest {
  readonly spec: { readonly script: { readonly localFile: string }; readonly runner: OperatorPod; readonly starter: OperatorPod };
}
interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
}

const kustomization = parse(readText(path.join(LOADTEST, 'kustomization.yaml'))) as Kustomization;
const [testRun] = kustomization.resources.flatMap((file) => manifests(readText(path.join(LOADTEST, file)))) as [TestRun];

/** The pod that the operator makes of it. */
function podOf(pod: OperatorPod): Manifest {
  const { automountServiceAccountToken, containerSecurityContext, ...fields } = pod;
  const others = Object.entries(fields).filter(([field]) => !OPERATOR_POD_FIELDS.includes(field));
  const container = Object.fromEntries(others.filter(([field]) => CONTAINER_FIELDS.includes(field)));
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' },
    spec: {
      ...Object.fromEntries(others.filter(([field]) => !CONTAINER_FIELDS.includes(field))), automountServiceAccountToken: automountServiceAccountToken === 'true',
      containers: [{ name: 'k6', securityContext: containerSecurityContext, ...container }],
    },
  };
}

test('every script, every profile and nothing else is taken along, and fits', () => {
  for (const { name, files } of kustomization.configMapGenerator) {
    const folder = path.dirname(files[0] ?? '');
    expect(name).toBe(`dht-loadtest-${folder}`);
    expect(files).toEqual(readdirSync(path.join(LOADTEST, folder)).filter((file) => !file.endsWith('.d.ts')).sort().map((file) => `${folder}/${file}`));
    expect(files.reduce((sum, file) => sum + readText(path.join(LOADTEST, file)).length, 0)).toBeLessThan(CONFIG_MAP_BYTES_MAX);
  }
});

test('the TestRun has only fields that the operator and Kubernetes know', () => {
  expect(testRun.apiVersion).toBe('k6.io/v1alpha1');
  expect(Object.keys(testRun.spec).filter((field) => !SPEC_FIELDS.includes(field))).toEqual([]);
  for (const pod of [testRun.spec.runner, testRun.spec.starter]) expect(typeErrors(podOf(pod))).toEqual([]);
  expect(typeErrors(podOf({ ...testRun.spec.runner, volumeMount: [] }))).toEqual(['Pod.spec.volumeMount: no such field']);
});

test('the scripts lie in the pod as they lie here, so that their imports hold', () => {
  const { runner, script } = testRun.spec;
  const folders = new Map((runner.volumes ?? []).map(({ name, configMap }) => [configMap.name, runner.volumeMounts?.find((mount) => mount.name === name)?.mountPath]));
  expect([...folders]).toEqual(kustomization.configMapGenerator.map(({ name }) => [name, `/loadtest/${name.replace('dht-loadtest-', '')}`]));
  expect(readdirSync(path.join(LOADTEST, 'scenarios')).map((file) => `/loadtest/scenarios/${file}`)).toContain(script.localFile);
});

test('it asks for what the scripts read, at the Services of the plain manifests', () => {
  const read = new Set([...readText(path.join(LOADTEST, 'k6/config.ts')).matchAll(/\b[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => name));
  const env = new Map((testRun.spec.runner.env ?? []).map(({ name, value }) => [name, value]));
  expect([...env.keys()].filter((name) => !read.has(name))).toEqual([]);
  const services = manifests(readText(BASE)).filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
  expect(services).toContain(new URL(env.get('BASE_URL') ?? '').hostname);
  expect(new Set((env.get('ADMIN_URL') ?? '').split(',').map((url) => new URL(url).hostname.split('.')[1]))).toEqual(new Set(services.filter((name) => name.endsWith('-headless'))));
});
