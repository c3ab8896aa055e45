/** Rendering with Helm 3 or 4, where there is one: the committed render, each set of values, and each mistake. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { CHART, HELM, ROOT, ciValues, manifests, readText, render, type Manifest } from './chart-files.ts';
import { typeErrors } from './manifest-types.ts';
import { RENDERS } from './render-base.ts';

const withHelm = HELM === null ? describe.skip : describe;
if (HELM === null) console.warn('skipped: no helm or helm3 on the PATH, so the chart is not rendered here');

function rendered(args: readonly string[], release = 'dht'): string {
  const outcome = render(release, 'dht', args);
  if (outcome.kind === 'failed') throw new Error(outcome.message);
  return outcome.text;
}

/** Helm 3 and 4 differ in nothing else. */
const withoutBlankLines = (text: string): string => text.replace(/\n\s*\n+/g, '\n');

withHelm('rendering', () => {
  test.each(RENDERS.map(({ file, args }) => [path.basename(file), file, args] as const))('gives the committed %s', (_name, file, args) => {
    expect(withoutBlankLines(rendered(args))).toBe(withoutBlankLines(readText(file)));
  });

  test('gives the same bytes each time', () => {
    expect(rendered([])).toBe(rendered([]));
  });

  test.each(ciValues())('of %s has only fields and types that Kubernetes knows', (file) => {
    const all = manifests(rendered(['--values', path.join(CHART, file)]));
    expect(all.length).toBeGreaterThan(3);
    for (const manifest of all) expect(typeErrors(manifest)).toEqual([]);
  });

  test('two releases in one namespace share no name and no selector', () => {
    const names = (release: string): readonly string[] => manifests(rendered([], release)).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const one = names('one');
    expect(names('two').filter((name) => one.includes(name))).toEqual([]);
    expect(rendered([], 'one')).toContain('app.kubernetes.io/instance: one');
  });

  test('a long release name leaves room for what the controller adds', () => {
    const set = manifests(rendered([], 'r'.repeat(53))).find(({ kind }) => kind === 'StatefulSet');
    expect(set?.metadata.name.length).toBeLessThanOrEqual(52);
  });

  test('null replicas leave the number to kubectl scale', () => {
    const set = manifests(rendered(['--set', 'replicaCount=null'])).find(({ kind }) => kind === 'StatefulSet');
    expect(set?.['spec']).not.toHaveProperty('replicas');
  });

  test('a single node gets no disruption budget, which would block every drain', () => {
    expect(manifests(rendered(['--set', 'replicaCount=1'])).some(({ kind }) => kind === 'PodDisruptionBudget')).toBe(false);
  });

  test('the dashboards are installed as they are, where the sidecar of Grafana finds them', () => {
    const folder = path.join(CHART, 'files/dashboards');
    const installed = manifests(rendered(['--set', 'metrics.dashboards.enabled=true,metrics.dashboards.folder=Storage,metrics.dashboards.namespace=monitoring'], 'one'))
      .filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1');
    expect(installed.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace, metadata.annotations?.['grafana_folder']])).toEqual(['node', 'overview', 'ring']
      .map((name) => ['ConfigMap', `one-dht-dashboard-${name}`, 'monitoring', 'Storage']));
    const files = Object.assign({}, ...installed.map((manifest) => manifest['data'])) as Readonly<Record<string, string>>;
    expect(Object.keys(files).sort()).toEqual(readdirSync(folder).sort());
    for (const [name, text] of Object.entries(files)) expect(text).toBe(readText(path.join(folder, name)));
  });

  test('no dashboard is installed unless it is asked for', () => {
    expect(rendered([])).not.toContain('grafana_dashboard');
  });

  test('the canary asks the client Service, restricted like a node, and is scraped as a job of its own', () => {
    const all = manifests(rendered(['--set', 'canary.enabled=true,metrics.podMonitor.enabled=true,networkPolicy.enabled=true'], 'one')).filter(({ metadata }) => metadata.name === 'one-dht-canary');
    expect(all.map(({ kind }) => kind).sort()).toEqual(['Deployment', 'NetworkPolicy', 'PodMonitor']);
    const text = JSON.stringify(all.find(({ kind }) => kind === 'Deployment'));
    for (const part of ['"value":"http://one-dht:80"', '"readOnlyRootFilesystem":true', '"runAsNonRoot":true', '"type":"Recreate"', '"automountServiceAccountToken":false', '"path":"/livez"']) expect(text).toContain(part);
    expect(JSON.stringify(all.find(({ kind }) => kind === 'PodMonitor'))).toContain('"targetLabel":"job","replacement":"one-dht-canary"');
    expect(rendered([])).not.toContain('canary');
  });

  test.each<[string, string, readonly string[]]>([
    ['a canary without the token that the gateway asks for', 'needs canary.tokenSecret.name', ['canary.enabled=true', 'gateway.auth.existingSecret=tokens']],
    ['OrderedReady', 'podManagementPolicy must be Parallel', ['podManagementPolicy=OrderedReady']],
    ['a grace period shorter than the shutdown', 'terminationGracePeriodSeconds is 30', ['terminationGracePeriodSeconds=30']],
    ['no API access and no secret', 'needs cluster.existingSecret', ['kubernetes.enabled=false']],
    ['volumes deleted without a hand-over', 'whenScaled=Delete', ['shutdown.leavePolicy=never', 'persistence.retentionPolicy.whenScaled=Delete']],
    ['two monitors', 'scraped twice', ['metrics.podMonitor.enabled=true', 'metrics.serviceMonitor.enabled=true']],
    ['a schema error', 'replicaCount', ['replicaCount=-2']],
  ])('refuses %s and says why', (_what, message, sets) => {
    const outcome = render('dht', 'dht', sets.flatMap((set) => ['--set', set]));
    expect(outcome.kind === 'failed' ? outcome.message : '').toContain(message);
  });

  test('all mistakes are told at once', () => {
    const outcome = render('dht', 'dht', ['--set', 'podManagementPolicy=OrderedReady', '--set', 'terminationGracePeriodSeconds=30']);
    const message = outcome.kind === 'failed' ? outcome.message : '';
    expect(message).toContain('Parallel');
    expect(message).toContain('terminationGracePeriodSeconds');
  });
});

const KUBECTL = spawnSync('kubectl', ['version', '--client']).status === 0;
(KUBECTL ? describe : describe.skip)('the overlays', () => {
  const overlay = (name: string): readonly Manifest[] => {
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', path.join(ROOT, 'k8s/overlays', name)], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return manifests(stdout);
  };

  test.each(['development', 'production'])('%s has only fields and types that Kubernetes knows', (name) => {
    for (const manifest of overlay(name)) expect(typeErrors(manifest)).toEqual([]);
  });

  test('development has one node without a volume and without a disruption budget', () => {
    const all = overlay('development');
    expect(all.some(({ kind }) => kind === 'PodDisruptionBudget')).toBe(false);
    expect(all.find(({ kind }) => kind === 'StatefulSet')).toMatchObject({ spec: { replicas: 1 } });
    expect(all.find(({ kind }) => kind === 'StatefulSet')?.['spec']).not.toHaveProperty('volumeClaimTemplates');
  });

  test('production has five nodes, HTTPS, tokens and a network policy', () => {
    const all = overlay('production');
    expect(all.find(({ kind }) => kind === 'StatefulSet')).toMatchObject({ spec: { replicas: 5 } });
    expect(all.some(({ kind }) => kind === 'NetworkPolicy')).toBe(true);
    expect(JSON.stringify(all)).toContain('DHT_TLS_CERT_FILE');
  });
});
