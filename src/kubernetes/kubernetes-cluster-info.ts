/**
 * The ClusterInfo door on the Kubernetes API: fresh reads of two named objects (a StatefulSet and a Secret) and one
 * guarded update. No watch and no cache: a node needs the wanted number only at SIGTERM and once a minute for
 * orphans, a stale answer would be worse than none, and watches die silently.
 *
 * Invariants: every call ends within `callTimeoutMs` (the library has no limit of its own); nothing rejects; what can't be
 * told from the answer is "unknown".
 * The library takes 60 MB on disk and is loaded only here, and only when it is wanted.
 */
import type { ApiException, AppsV1Api, CoreV1Api, KubeConfig, V1Secret } from '@kubernetes/client-node';
import type { ClusterInfo, ClusterRecord, ClusterRecordOutcome, DesiredNodes, FillOutcome } from '../ports/cluster-info.ts';
import type { Clock } from '../ports/clock.ts';
import type { Counter, Gauge, Meter } from '../ports/meter.ts';

export interface KubernetesClusterInfoDeps {
  readonly clock: Clock;
  readonly meter: Meter;
}

export interface KubernetesClusterInfoOptions {
  readonly namespace: string;
  readonly statefulSet: string;
  readonly secret: string;
  /** Milliseconds after which a call counts as unanswered. */
  readonly callTimeoutMs: number;
}

const RESOURCES = ['statefulsets', 'secrets'] as const;
type Resource = (typeof RESOURCES)[number];
type Verb = 'get' | 'update';

type Answer<T> = { readonly kind: 'answer'; readonly body: T } | { readonly kind: 'refused'; readonly code: number; readonly detail: string } | { readonly kind: 'none'; readonly detail: string };

const CODES = ['200', '401', '403', '404', '409', '500', 'timeout', 'error'];
const CALLS: readonly (readonly [Resource, Verb])[] = [['statefulsets', 'get'], ['secrets', 'get'], ['secrets', 'update']];
const CONFLICT = 409;
const NOT_FOUND = 404;

export class KubernetesClusterInfo implements ClusterInfo {
  readonly #clock: Clock;
  readonly #options: KubernetesClusterInfoOptions;
  readonly #apps: AppsV1Api;
  readonly #core: CoreV1Api;
  readonly #requests: Counter;
  readonly #lastSync: Gauge;

  private constructor(deps: KubernetesClusterInfoDeps, options: KubernetesClusterInfoOptions, apps: AppsV1Api, core: CoreV1Api) {
    this.#clock = deps.clock;
    this.#options = options;
    this.#apps = apps;
    this.#core = core;
    this.#requests = deps.meter.counter({
      name: 'dht_kubernetes_requests_total', help: 'Calls to the Kubernetes API; code is timeout or error when no answer came.',
      labelNames: ['resource', 'verb', 'code'],
      initial: CALLS.flatMap(([resource, verb]) => CODES.map((code) => ({ resource, verb, code }))),
    });
    this.#lastSync = deps.meter.gauge({
      name: 'dht_kubernetes_last_sync_timestamp_seconds', help: 'When the Kubernetes API last said how a resource stands, in Unix time; 0: it has not yet.',
      labelNames: ['resource'],
      initial: RESOURCES.map((resource) => ({ resource })),
    });
  }

  /** `configure`: how the API is reached; from inside a pod by its service account when left out. */
  static async load(deps: KubernetesClusterInfoDeps, options: KubernetesClusterInfoOptions, configure?: (config: KubeConfig) => void): Promise<KubernetesClusterInfo> {
    const library = await import('@kubernetes/client-node');
    const config = new library.KubeConfig();
    if (configure === undefined) config.loadFromCluster();
    else configure(config);
    return new KubernetesClusterInfo(deps, options, config.makeApiClient(library.AppsV1Api), config.makeApiClient(library.CoreV1Api));
  }

  async desired(): Promise<DesiredNodes> {
    const { namespace, statefulSet } = this.#options;
    const answer = await this.#call('statefulsets', 'get', () => this.#apps.readNamespacedStatefulSet({ namespace, name: statefulSet }));
    if (answer.kind === 'refused' && answer.code === NOT_FOUND) return { kind: 'gone' };
    if (answer.kind !== 'answer') return { kind: 'unknown', detail: answer.detail };
    const { metadata, spec } = answer.body;
    if (metadata?.uid === undefined || spec?.replicas === undefined) return { kind: 'unknown', detail: 'the StatefulSet has no uid or no replicas' };
    return { kind: 'known', uid: metadata.uid, replicas: spec.replicas, firstOrdinal: spec.ordinals?.start ?? 0, isDeleting: metadata.deletionTimestamp !== undefined };
  }

  async record(): Promise<ClusterRecordOutcome> {
    const found = await this.#readSecret();
    if (found.kind !== 'answer') return { kind: 'unknown', detail: found.detail };
    const { data, metadata } = found.body;
    const version = metadata?.resourceVersion;
    if (version === undefined) return { kind: 'unknown', detail: 'the Secret has no version' };
    return { kind: 'record', record: { secret: decoded(data?.['secret']), clusterId: decoded(data?.['clusterId']) }, version };
  }

  async fill(entries: Partial<ClusterRecord>, version: string): Promise<FillOutcome> {
    const { namespace, secret } = this.#options;
    const found = await this.#readSecret();
    if (found.kind !== 'answer') return { kind: 'unknown', detail: found.detail };
    if (found.body.metadata?.resourceVersion !== version) return { kind: 'conflict' };
    const data = { ...found.body.data };
    for (const [key, value] of Object.entries(entries)) if (value !== null) data[key] = Buffer.from(value, 'utf8').toString('base64');
    const answer = await this.#call('secrets', 'update', () => this.#core.replaceNamespacedSecret({ namespace, name: secret, body: { ...found.body, data } }));
    if (answer.kind === 'answer') return { kind: 'filled' };
    return answer.kind === 'refused' && answer.code === CONFLICT ? { kind: 'conflict' } : { kind: 'unknown', detail: answer.detail };
  }

  #readSecret(): Promise<Answer<V1Secret>> {
    const { namespace, secret } = this.#options;
    return this.#call('secrets', 'get', () => this.#core.readNamespacedSecret({ namespace, name: secret }));
  }

  async #call<T>(resource: Resource, verb: Verb, run: () => Promise<T>): Promise<Answer<T>> {
    const { callTimeoutMs } = this.#options;
    const late = Promise.withResolvers<Answer<T>>();
    const timer = this.#clock.after(callTimeoutMs, () => { late.resolve({ kind: 'none', detail: `no answer from the Kubernetes API within ${callTimeoutMs} ms` }); });
    const answer = await Promise.race([
      late.promise,
      run().then((body): Answer<T> => ({ kind: 'answer', body }), (error: unknown): Answer<T> => refusal(resource, verb, error)),
    ]);
    timer.cancel();
    const code = answer.kind === 'answer' ? '200' : answer.kind === 'refused' ? String(answer.code) : answer.detail.startsWith('no answer') ? 'timeout' : 'error';
    this.#requests.add(1, { resource, verb, code: CODES.includes(code) ? code : '500' });
    if (answer.kind === 'answer' || (answer.kind === 'refused' && answer.code === NOT_FOUND)) this.#lastSync.set(this.#clock.wallNow() / 1000, { resource });
    return answer;
  }
}

/** Only the library's own exception tells a status; everything else is a failure of the network. */
function refusal(resource: Resource, verb: Verb, error: unknown): Answer<never> {
  const code = error instanceof Error && 'code' in error ? (error as ApiException<unknown>).code : null;
  if (typeof code === 'number') return { kind: 'refused', code, detail: `the Kubernetes API answered ${code} to ${verb} ${resource}` };
  return { kind: 'none', detail: `the Kubernetes API can not be reached: ${error instanceof Error ? error.message : String(error)}` };
}

function decoded(value: string | undefined): string | null {
  if (value === undefined || value === '') return null;
  return Buffer.from(value, 'base64').toString('utf8').trim() || null;
}
