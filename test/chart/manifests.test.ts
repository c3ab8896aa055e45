/** The committed render: what an API server would say of its fields, and whether its parts fit each other and the program. */
import { describe, expect, test } from '@jest/globals';
import path from 'node:path';
import { readdirSync } from 'node:fs';
import { SETTINGS } from '../../src/config/settings-catalogue.ts';
import { parseSettings } from '../../src/config/parse-settings.ts';
import { BASE, ROOT, manifests, readText, type Manifest } from './chart-files.ts';
import { typeErrors } from './manifest-types.ts';

interface Env { readonly name: string; readonly value?: string }
interface Port { readonly name: string; readonly containerPort: number }
interface Container {
  readonly env: readonly Env[];
  readonly ports: readonly Port[];
  readonly command: readonly string[];
  readonly livenessProbe: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly readinessProbe: Container['livenessProbe'];
  readonly startupProbe: Container['livenessProbe'];
  readonly volumeMounts: readonly { readonly name: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly resources: { readonly limits: Readonly<Record<string, string>> };
}
interface PodSpec {
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string }[];
  readonly enableServiceLinks: boolean;
  readonly shareProcessNamespace: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly serviceAccountName: string;
}
interface StatefulSet extends Manifest {
  readonly spec: {
    readonly serviceName: string;
    readonly podManagementPolicy: string;
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec };
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> } }[];
  };
}
interface Service extends Manifest {
  readonly spec: { readonly clusterIP?: string; readonly publishNotReadyAddresses?: boolean; readonly selector: Readonly<Record<string, string>>; readonly ports: readonly { readonly targetPort: string; readonly name: string }[] };
}
interface Role extends Manifest {
  readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[]; readonly resourceNames: readonly string[] }[];
}

const all = manifests(readText(BASE));
const only = <T extends Manifest>(kind: string, name: string): T => {
  const found = all.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found as T;
};
const set = only<StatefulSet>('StatefulSet', 'dht');
const headless = only<Service>('Service', 'dht-headless');
const client = only<Service>('Service', 'dht');
const pod = set.spec.template.spec;
const [container] = pod.containers;
const isSubset = (part: Readonly<Record<string, string>>, whole: Readonly<Record<string, string>>): boolean => Object.entries(part).every(([key, value]) => whole[key] === value);

test('has only fields and types that Kubernetes knows', () => {
  expect(all.length).toBeGreaterThan(6);
  for (const manifest of all) expect(typeErrors(manifest)).toEqual([]);
});

test('the type check finds what is planted', () => {
  const wrong = { ...set, spec: { ...set.spec, replicas: 'three', podManagmentPolicy: 'Parallel' } };
  expect(typeErrors(wrong)).toEqual(['StatefulSet.spec.replicas: "three" is no number', 'StatefulSet.spec.podManagmentPolicy: no such field']);
  expect(typeErrors({ ...headless, spec: { ...headless.spec, ports: [{ port: 80, targetport: 'x' }] } })).toEqual(['Service.spec.ports[0].targetport: no such field']);
});

test('the overlays have only fields and types that Kubernetes knows', () => {
  const overlay = manifests(readText(path.join(ROOT, 'k8s/overlays/production/networkpolicy.yaml')));
  for (const manifest of overlay) expect(typeErrors(manifest)).toEqual([]);
});

describe('the parts fit', () => {
  test('every selector selects the pods, by labels that no version changes', () => {
    const { labels } = set.spec.template.metadata;
    for (const selector of [set.spec.selector.matchLabels, headless.spec.selector, client.spec.selector]) expect(isSubset(selector, labels)).toBe(true);
    for (const immutable of [set.spec.selector.matchLabels, labels, ...set.spec.volumeClaimTemplates.map(({ metadata }) => metadata.labels)]) {
      expect(Object.keys(immutable).filter((label) => /version|chart/.test(label))).toEqual([]);
    }
  });

  test('the set names the headless service, which publishes pods that are not ready', () => {
    expect(set.spec.serviceName).toBe(headless.metadata.name);
    expect([headless.spec.clusterIP, headless.spec.publishNotReadyAddresses, client.spec.publishNotReadyAddresses]).toEqual(['None', true, undefined]);
    expect(set.spec.podManagementPolicy).toBe('Parallel');
  });

  test('every port of a service is a named port of the container, metrics and control are not on the client service', () => {
    const names = container.ports.map(({ name }) => name);
    for (const { targetPort } of [...headless.spec.ports, ...client.spec.ports]) expect(names).toContain(targetPort);
    expect(client.spec.ports.map(({ name }) => name)).toEqual(['http']);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(15);
  });

  test('every mount has a volume', () => {
    const volumes = [...pod.volumes.map(({ name }) => name), ...set.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name)];
    for (const { name } of container.volumeMounts) expect(volumes).toContain(name);
  });

  test('every probe asks a route of the admin port', () => {
    const routes = readText(path.join(ROOT, 'src/gateway/admin-app.ts'));
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
      expect(probe.httpGet.port).toBe('admin');
      expect(routes).toContain(`'${probe.httpGet.path}'`);
    }
  });
});

describe('the program understands', () => {
  const environment = Object.fromEntries(container.env.map(({ name, value }) => [name, (value ?? 'x').replaceAll('$(POD_NAME)', 'dht-0').replaceAll('$(POD_NAMESPACE)', 'dht')]));

  test('every variable, and the values together', () => {
    const known = new Set<string>(Object.values(SETTINGS).map(({ environment: name }) => name));
    for (const { name } of container.env) if (name.startsWith('DHT_')) expect(known).toContain(name);
    const outcome = parseSettings([], environment);
    expect(outcome.kind === 'wrong' ? outcome.message : outcome.kind).toBe('settings');
  });

  test('the ports, the names and the seeds', () => {
    const outcome = parseSettings([], environment);
    if (outcome.kind !== 'settings') throw new Error('no settings');
    const { settings } = outcome;
    expect(container.ports.map(({ containerPort }) => containerPort)).toEqual([settings.port, settings.httpPort, settings.adminPort]);
    expect([settings.host, settings.advertise]).toEqual(['dht-0', { host: 'dht-0.dht-headless.dht.svc.cluster.local.', port: 7400 }]);
    expect(settings.join[0]).toEqual(settings.advertise);
    expect([settings.kubernetesStatefulSet, settings.kubernetesSecret]).toEqual(['dht', 'dht-cluster']);
  });

  test('its command, as PID 1', () => {
    expect(container.command).toEqual(['node', '/opt/dht/dist/main.js', 'node']);
  });
});

test('the role allows exactly the calls that the program makes', () => {
  const { rules } = only<Role>('Role', 'dht');
  const allowed = rules.flatMap(({ resources, verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${resource} ${verb}`))).sort();
  const source = readText(path.join(ROOT, 'src/kubernetes/kubernetes-cluster-info.ts'));
  const called = [...source.matchAll(/#call\('(\w+)', '(\w+)'/g)].map(([, resource, verb]) => `${resource ?? ''} ${verb ?? ''}`);
  expect([...new Set(called)].sort()).toEqual(allowed);
  for (const { resourceNames } of rules) expect(resourceNames.length).toBe(1);
});

test('nothing needs more rights than the restricted pod security standard gives', () => {
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  expect(pod.enableServiceLinks).toBe(false);
  // A signal during the start ends the process, as it does anywhere but for process 1.
  expect(pod.shareProcessNamespace).toBe(true);
  expect(Object.keys(container.resources.limits)).toEqual(['memory']);
  const text = readText(BASE);
  for (const forbidden of ['hostPath', 'hostNetwork', 'hostPort', 'privileged', 'ClusterRole']) expect(text).not.toContain(forbidden);
});

test('names stay below 63 characters', () => {
  for (const { metadata } of all) expect(metadata.name.length).toBeLessThanOrEqual(63);
});

test('the image is built from what it needs and nothing else', () => {
  const dockerfile = readText(path.join(ROOT, 'Dockerfile'));
  expect(dockerfile).toContain('FROM node:26-bookworm-slim');
  expect(dockerfile).toMatch(/^USER 10001:0$/m);
  const ignored = readText(path.join(ROOT, '.dockerignore')).split('\n');
  expect(ignored[0]).toBe('*');
  for (const line of ignored.filter((entry) => entry.startsWith('!'))) expect(readdirSync(ROOT)).toContain(line.slice(1));
});
