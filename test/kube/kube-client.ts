/**
 * The cluster that the tests run on: reached through KUBECONFIG, with Helm on the PATH and the image named by DHT_TEST_IMAGE
 * (registry/repository:tag) there already. The machine has to reach pods and Services, as every node of a cluster does.
 * DHT_TEST_NODE_CUT and DHT_TEST_NODE_HEAL: commands that cut a node's network and connect it again, given its name (the number of a
 * node called n<number>).
 */
import { spawn } from 'node:child_process';
import * as k8s from '@kubernetes/client-node';
import { CHART, HELM } from '../chart/chart-files.ts';

export const IMAGE = process.env['DHT_TEST_IMAGE'] ?? '';

/** Why the tests can't run here; null: they can. */
export function whyNot(): string | null {
  if ((process.env['KUBECONFIG'] ?? '') === '') return 'KUBECONFIG is not set';
  if (HELM === null) return 'there is no helm on the PATH';
  if (!/^[^/]+\/.+:[^:]+$/.test(IMAGE)) return 'DHT_TEST_IMAGE is not registry/repository:tag';
  return null;
}

export interface PodState {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly node: string;
  readonly isReady: boolean;
  readonly isEnding: boolean;
  readonly restarts: number;
}

export class KubeClient {
  readonly namespace: string;
  readonly core: k8s.CoreV1Api;
  readonly apps: k8s.AppsV1Api;

  constructor(namespace: string) {
    const config = new k8s.KubeConfig();
    config.loadFromDefault();
    this.namespace = namespace;
    this.core = config.makeApiClient(k8s.CoreV1Api);
    this.apps = config.makeApiClient(k8s.AppsV1Api);
  }

  /** A namespace in which only restricted pods run. */
  async create(): Promise<void> {
    await this.core.createNamespace({ body: { metadata: { name: this.namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } } });
  }

  async remove(): Promise<void> {
    await this.core.deleteNamespace({ name: this.namespace, gracePeriodSeconds: 0 }).catch(() => undefined);
  }

  /** Pods of a release, by ordinal. */
  async pods(release: string): Promise<readonly PodState[]> {
    const { items } = await this.core.listNamespacedPod({ namespace: this.namespace, labelSelector: `app.kubernetes.io/instance=${release},app.kubernetes.io/component=node` });
    return items.map(({ metadata, status, spec }) => ({
      name: metadata?.name ?? '', uid: metadata?.uid ?? '', ip: status?.podIP ?? '', node: spec?.nodeName ?? '',
      isReady: status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
      isEnding: metadata?.deletionTimestamp !== undefined,
      restarts: status?.containerStatuses?.[0]?.restartCount ?? 0,
    })).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  }

  async untilReady(release: string, count: number, deadlineMs: number): Promise<readonly PodState[]> {
    await until(async () => {
      const pods = await this.pods(release);
      return pods.length === count && pods.every(({ isReady, isEnding }) => isReady && !isEnding);
    }, deadlineMs, `${count} pods of ${release} are ready`);
    return await this.pods(release);
  }

  async serviceUrl(release: string): Promise<string> {
    const service = await this.core.readNamespacedService({ namespace: this.namespace, name: fullname(release) });
    return `http://${service.spec?.clusterIP ?? ''}:${service.spec?.ports?.[0]?.port ?? 0}`;
  }

  async secretEntry(name: string, entry: string): Promise<string | null> {
    const { data } = await this.core.readNamespacedSecret({ namespace: this.namespace, name });
    const value = data?.[entry];
    return value === undefined ? null : Buffer.from(value, 'base64').toString();
  }

  async deletePod(name: string, gracePeriodSeconds: number): Promise<void> {
    await this.core.deleteNamespacedPod({ namespace: this.namespace, name, gracePeriodSeconds });
  }

  async scale(release: string, replicas: number): Promise<void> {
    const set = { namespace: this.namespace, name: fullname(release) };
    const scale = await this.apps.readNamespacedStatefulSetScale(set);
    await this.apps.replaceNamespacedStatefulSetScale({ ...set, body: { ...scale, spec: { replicas } } });
  }
}

export function fullname(release: string): string {
  return release.includes('dht') ? release : `${release}-dht`;
}

/** Runs Helm; rejects with what it printed when it fails. */
export async function helm(...args: readonly string[]): Promise<string> {
  return await command(HELM ?? 'helm', args);
}

export async function install(client: KubeClient, release: string, ...sets: readonly string[]): Promise<void> {
  await helm('upgrade', '--install', release, CHART, '--namespace', client.namespace, ...imageSets(), ...sets.flatMap((set) => ['--set', set]), '--wait', '--timeout', '5m');
}

export async function uninstall(client: KubeClient, release: string): Promise<void> {
  await helm('uninstall', release, '--namespace', client.namespace, '--wait', '--timeout', '5m');
}

/** The image that is tested, as arguments of Helm. */
export function imageSets(): readonly string[] {
  const [, registry = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:]+)$/.exec(IMAGE) ?? [];
  return ['--set', `image.registry=${registry},image.repository=${repository},image.tag=${tag}`];
}

export function command(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    child.stderr.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    child.on('error', reject);
    child.on('close', (code) => { if (code === 0) resolve(text); else reject(new Error(`${program} ${args.join(' ')}: exit ${code ?? 'by a signal'}\n${text}`)); });
  });
}

export function isCommandSet(name: string): boolean {
  return (process.env[name] ?? '') !== '';
}

export async function until(condition: () => Promise<boolean>, deadlineMs: number, what: string): Promise<number> {
  const begin = performance.now();
  for (;;) {
    if (await condition().catch(() => false)) return performance.now() - begin;
    if (performance.now() - begin > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}
