/**
 * The ring of a whole installation on loopback: processes as pods of a simulated StatefulSet, a mock of the Kubernetes API
 * that they ask, a Service, and a proxy before each ring port, so that every link can be cut and every address can lead
 * elsewhere.
 *
 * The address of a pod is that of its proxy, as names are on Kubernetes: it stays while what is behind it changes.
 */
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ExplainView, NodeView, RingView } from '../../src/node/node-service.ts';
import { PeerLinks } from '../histories/peer-links.ts';
import { MockApi } from '../support/mock-kubernetes-api.ts';
import { freePorts, RealRing, until, type RealNode } from '../support/real-ring.ts';
import { ringLack, untilWhole } from '../support/ring-lack.ts';
import type { ApiFault, Capability, CertificateStep, ChaosNode, ChaosRing, Damage, LinkFault, SecretStep } from './chaos-ring.ts';
import { LocalCredentials } from './local-credentials.ts';
import type { Control } from './local-node.ts';
import { LocalService } from './local-service.ts';
import { LocalStatefulSet, type Pod } from './local-stateful-set.ts';
import { damageFiles, fillVolume, freeVolume, mountVolume, unmountVolume, whyNoVolumes } from './local-volumes.ts';

export interface LocalRingOptions {
  readonly replicas: number;
  readonly isOrdered?: boolean;
  readonly hasOwnVolumes?: boolean;
  /** The gateways speak HTTPS; this process trusts their certificates. */
  readonly hasCertificate?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly mayExitWith?: readonly number[];
  /** Milliseconds until each pod may start for the first time; 0 without it. */
  readonly startDelayMs?: (ordinal: number) => number;
}

const FOUNDERS_MAX = 3;
const GRACE_MS = 60_000;
const READY_MS_MAX = 120_000;
/** Of a node on a busy machine; one that stands still keeps the monitor from the others for so long. */
const ADMIN_MS_MAX = 15_000;
const ENTRY_POINT = path.join(import.meta.dirname, 'local-node.ts');
const NEVER_LOGGED = /unhandled|uncaughtException|assertion|met an error of its own/i;
/** Each node dials from an address of its own, which is how its links are known. Linux has all of 127.0.0.0/8 on loopback. */
const SOURCE_PREFIX = '127.0.77.';
const CALM: Control = { clockShiftMs: 0, busyShare: 0 };

class LocalNode implements ChaosNode {
  readonly #pod: Pod;

  constructor(pod: Pod) {
    this.#pod = pod;
  }

  get ordinal(): number { return this.#pod.ordinal; }
  get isReady(): boolean { return this.#pod.isReady && !this.#pod.isEnding; }
  get name(): string { return this.#pod.node.name; }
  get url(): string { return this.#pod.node.url; }
  objectUrl(key: string): string { return this.#pod.node.objectUrl(key); }
  explain(key: string): Promise<ExplainView> { return this.#pod.node.explain(key); }
  view(): Promise<NodeView> { return this.#read('/v1/node'); }
  ring(): Promise<RingView> { return this.#read('/v1/ring'); }

  async metric(name: string, labels = ''): Promise<number | null> {
    const response = await fetch(`${this.#pod.node.adminUrl}/metrics`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    const text = await response?.text().catch(() => null) ?? null;
    if (text === null) return null;
    return text.split('\n').filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async #read<T>(route: string): Promise<T> {
    if (!this.#pod.node.isRunning) throw new Error(`${this.name} is not running`);
    return await this.#pod.node.admin<T>(route, { signal: AbortSignal.timeout(ADMIN_MS_MAX) });
  }
}

export class LocalRing implements ChaosRing {
  readonly capabilities: ReadonlySet<Capability>;
  readonly #why: ReadonlyMap<Capability, string>;
  readonly #ring: RealRing;
  readonly #api: MockApi;
  readonly #links: PeerLinks;
  readonly #set: LocalStatefulSet;
  readonly #credentials: LocalCredentials;
  readonly #proxyPorts: number[] = [];
  readonly #options: LocalRingOptions;
  #service: LocalService | null = null;
  readonly #paused = new Set<Pod>();
  readonly #full = new Set<string>();
  readonly #mounted: string[] = [];
  #foreign: RealRing | null = null;
  /** By ordinal; without one its own. */
  readonly #protocolMax = new Map<number, number>();

  private constructor(ring: RealRing, api: MockApi, options: LocalRingOptions, noVolumes: string | null) {
    this.#ring = ring;
    this.#api = api;
    this.#options = options;
    this.#credentials = new LocalCredentials(ring.directory, api, options.hasCertificate ?? false);
    const all: readonly Capability[] = ['kill-for', 'pause', 'links', 'swap-addresses', 'foreign-node', 'full-disk', 'damage', 'api-faults', 'clock', 'slow', 'evict', 'fresh-ring', 'versions', 'secret', ...(this.#credentials.hasCertificate ? ['certificate' as const] : [])];
    this.#why = new Map<Capability, string>([
      ...(noVolumes === null ? [] : [['full-disk', noVolumes] as const]),
      ...(process.platform === 'linux' ? [] : [['links', 'who dials is known on Linux only'] as const]),
    ]);
    this.capabilities = new Set(all.filter((capability) => !this.#why.has(capability)));
    this.#links = new PeerLinks((index) => {
      const node = this.#ring.nodes[index];
      return node?.isRunning === true ? (node.process?.pid ?? null) : null;
    }, (address) => (address.startsWith(SOURCE_PREFIX) ? Number(address.slice(SOURCE_PREFIX.length)) - 1 : null));
    this.#set = new LocalStatefulSet({ isOrdered: options.isOrdered ?? false, graceMs: GRACE_MS, add: (ordinal) => this.#add(ordinal), start: (node) => { this.#start(node); } });
    this.#set.mayExitWith = options.mayExitWith ?? [];
  }

  /** Resolves at once; untilWhole tells when the ring is founded. */
  static async create(options: LocalRingOptions): Promise<LocalRing> {
    const ring = await RealRing.create({ directory: await mkdtemp(path.join(os.tmpdir(), 'dht-chaos-ring-')), hasSecretFile: false });
    await mkdir(path.join(ring.directory, 'data'), { recursive: true });
    const local = new LocalRing(ring, await MockApi.start(), options, await whyNoVolumes());
    // The list of seeds names the first ones before any of them runs.
    for (let ordinal = 0; ordinal < FOUNDERS_MAX; ordinal++) await local.#prepare();
    local.#service = await LocalService.start(() => local.nodes.filter(({ isReady }) => isReady).map(({ ordinal }) => local.#set.pod(ordinal).node.httpPort), local.#credentials.scheme);
    await local.scale(options.replicas);
    return local;
  }

  whyNot(capability: Capability): string {
    return this.#why.get(capability) ?? 'this driver does not do it';
  }

  get replicas(): number {
    return this.#set.replicas;
  }

  get nodes(): readonly LocalNode[] {
    return this.#set.pods.slice(0, this.#set.replicas).map((pod) => new LocalNode(pod));
  }

  get serviceUrl(): string {
    return this.#service?.url ?? '';
  }

  get unexpectedEnds(): readonly string[] {
    return this.#set.unexpectedEnds;
  }

  async kill(ordinals: readonly number[], downMs = 0): Promise<void> {
    await this.#set.kill(ordinals, downMs);
  }

  async restart(ordinal: number): Promise<void> {
    await this.#set.terminate(this.#set.pod(ordinal));
  }

  async rollingRestart(): Promise<void> {
    await this.#set.rollingRestart(READY_MS_MAX);
  }

  async evict(ordinal: number): Promise<boolean> {
    // A budget of one, as the chart's: all the others have to be ready.
    if (this.#set.pods.slice(0, this.replicas).some((pod) => pod.ordinal !== ordinal && (!pod.isReady || pod.isEnding))) return false;
    void this.#set.terminate(this.#set.pod(ordinal));
    return await Promise.resolve(true);
  }

  scale(replicas: number): Promise<void> {
    this.#api.statefulSet = { metadata: { name: 'dht', uid: 'u1' }, spec: { replicas } };
    this.#set.scale(replicas);
    return Promise.resolve();
  }

  async loseVolumes(ordinals: readonly number[], downMs = 0): Promise<void> {
    await this.#set.kill(ordinals, Math.max(downMs, 1_000));
    for (const ordinal of ordinals) await rm(this.#ring.directoryOf(this.#set.pod(ordinal).node), { recursive: true, force: true });
  }

  pause(ordinal: number): Promise<void> {
    const pod = this.#set.pod(ordinal);
    pod.node.kill('SIGSTOP');
    this.#paused.add(pod);
    return Promise.resolve();
  }

  resume(ordinal: number): Promise<void> {
    const pod = this.#set.pod(ordinal);
    pod.node.kill('SIGCONT');
    this.#paused.delete(pod);
    return Promise.resolve();
  }

  link(from: readonly number[], to: readonly number[], fault: LinkFault): Promise<void> {
    for (const a of from) for (const b of to) if (a !== b) this.#links.set(a, b, fault);
    return Promise.resolve();
  }

  swapAddresses(a: number, b: number): Promise<void> {
    this.#links.retarget(a, this.#set.pod(b).node.port);
    this.#links.retarget(b, this.#set.pod(a).node.port);
    return Promise.resolve();
  }

  async impersonate(ordinal: number): Promise<void> {
    await this.#set.kill([ordinal], READY_MS_MAX);
    this.#foreign = await RealRing.create({ directory: path.join(this.#ring.directory, 'foreign') });
    await writeFile(path.join(this.#foreign.directory, 'cluster-secret'), this.#credentials.secret);
    const node = await this.#foreign.startNew([]);
    this.#links.retarget(ordinal, node.port);
  }

  async fillDisk(ordinal: number): Promise<void> {
    const directory = this.#ring.directoryOf(this.#set.pod(ordinal).node);
    this.#full.add(directory);
    await fillVolume(directory);
  }

  async freeDisk(ordinal: number): Promise<void> {
    const directory = this.#ring.directoryOf(this.#set.pod(ordinal).node);
    this.#full.delete(directory);
    await freeVolume(directory);
  }

  async damage(ordinal: number, what: Damage): Promise<number> {
    await this.#set.kill([ordinal], 2_000);
    return await damageFiles(this.#ring.directoryOf(this.#set.pod(ordinal).node), what);
  }

  apiFault(fault: ApiFault): Promise<void> {
    this.#api.fault = fault;
    return Promise.resolve();
  }

  async shiftClock(ordinal: number, byMs: number): Promise<void> {
    await this.#control(ordinal, { ...CALM, clockShiftMs: byMs });
  }

  async slow(ordinal: number, busyShare: number): Promise<void> {
    await this.#control(ordinal, { ...CALM, busyShare });
  }

  chooseVersion(ordinal: number, protocolMax: number): Promise<void> {
    this.#protocolMax.set(ordinal, protocolMax);
    return Promise.resolve();
  }

  replaceCertificate(ordinal: number, step: CertificateStep): Promise<void> {
    return this.#credentials.replaceCertificate(ordinal, step);
  }

  rotateSecret(step: SecretStep): Promise<void> {
    this.#credentials.rotateSecret(step);
    return Promise.resolve();
  }

  async foundAnew(random: () => number): Promise<ReadonlySet<string>> {
    const lateMs = Array.from({ length: FOUNDERS_MAX }, () => random() * 3_000);
    const ring = await LocalRing.create({ ...this.#options, replicas: FOUNDERS_MAX, hasOwnVolumes: false, startDelayMs: (ordinal) => lateMs[ordinal] ?? 0 });
    const ids = new Set<string>();
    let isKept = true;
    try {
      // A name that isn't known yet, or is known not to be: its dials end at once.
      const opens = [0, 1, 2].map(async (ordinal) => {
        for (const other of [0, 1, 2]) if (other !== ordinal) ring.#links.set(other, ordinal, { kind: 'reset' });
        await pause(random() * 3_000);
        for (const other of [0, 1, 2]) if (other !== ordinal) ring.#links.set(other, ordinal, { kind: 'open' });
      });
      await ring.untilReady([0, 1, 2], READY_MS_MAX);
      await Promise.all(opens);
      await ring.untilWhole(READY_MS_MAX);
      for (const node of ring.nodes) ids.add((await node.view()).clusterId ?? 'none');
      isKept = ids.size !== 1;
    } finally {
      await ring.stop(isKept);
    }
    return ids;
  }

  async heal(): Promise<void> {
    this.#links.openAll();
    for (const pod of [...this.#paused]) await this.resume(pod.ordinal);
    for (const directory of [...this.#full]) await freeVolume(directory);
    this.#full.clear();
    for (const { ordinal, node } of this.#set.pods) {
      this.#links.retarget(ordinal, node.port);
      await this.#control(ordinal, CALM);
    }
    await this.#foreign?.stop();
    this.#foreign = null;
    this.#protocolMax.clear();
    for (const pod of this.#set.pods) pod.startAt = Math.min(pod.startAt, performance.now() + 100);
    this.#api.fault = null;
  }

  async lack(): Promise<string | null> {
    const { nodes, replicas } = this;
    const pods = this.#set.pods.slice(0, replicas);
    const late = this.#set.pods.find((pod) => pod.ordinal >= replicas && pod.node.isRunning);
    if (late !== undefined) return `${late.node.name} is still there`;
    const unready = pods.filter(({ isReady, isEnding }) => !isReady || isEnding);
    if (unready.length > 0 || pods.length < replicas) return `${unready.map(({ node }) => node.name).join(', ') || 'a new pod'} is not ready`;
    if (!this.#links.isWhole) return 'links are cut';
    return ringLack(nodes, replicas);
  }

  untilWhole(deadlineMs: number): Promise<number> {
    return untilWhole(() => this.lack(), deadlineMs);
  }

  untilReady(ordinals: readonly number[], deadlineMs: number): Promise<number> {
    return until(() => Promise.resolve(ordinals.every((ordinal) => this.nodes[ordinal]?.isReady === true)), deadlineMs, `nodes ${ordinals.join(', ')} are ready`);
  }

  async neverLogged(): Promise<readonly string[]> {
    const found = await Promise.all(this.#ring.nodes.map(async ({ name, logFile }) => {
      const text = await readFile(logFile, 'utf8').catch(() => '');
      return text.split('\n').filter((line) => NEVER_LOGGED.test(line)).slice(0, 3).map((line) => `${name} logged: ${line.slice(0, 400)}`);
    }));
    return found.flat();
  }

  openFiles(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { node } of this.#set.pods) {
      const pid = node.isRunning ? node.process?.pid : undefined;
      if (pid === undefined) continue;
      try {
        counts.set(`${node.name}, process ${pid}`, readdirSync(`/proc/${pid}/fd`).length);
      } catch {
        // It has just ended, or this is no Linux.
      }
    }
    return Promise.resolve(counts);
  }

  async stop(isKept: boolean): Promise<string> {
    await this.heal();
    await this.#set.stop();
    for (const pod of this.#set.pods) pod.isKilled = true;
    await this.#ring.stop();
    await this.#service?.stop();
    await this.#links.close();
    await this.#api.stop();
    for (const directory of this.#mounted) await unmountVolume(directory);
    if (!isKept) await rm(this.#ring.directory, { recursive: true });
    return this.#ring.directory;
  }

  /** A node and its address, before anything runs there. */
  async #prepare(): Promise<RealNode> {
    const node = await this.#ring.add(`dht-${this.#ring.nodes.length}`);
    await this.#credentials.prepare(node);
    const [port = 0] = await freePorts(1);
    this.#proxyPorts[node.index] = await this.#links.listen(node.index, node.port, port);
    if (this.#options.hasOwnVolumes === true) {
      const directory = this.#ring.directoryOf(node);
      await mountVolume(directory);
      this.#mounted.push(directory);
    }
    return node;
  }

  async #add(ordinal: number): Promise<RealNode> {
    const delayMs = this.#options.startDelayMs?.(ordinal) ?? 0;
    if (delayMs > 0) void this.#delay(ordinal, delayMs);
    return this.#ring.nodes[ordinal] ?? await this.#prepare();
  }

  async #delay(ordinal: number, delayMs: number): Promise<void> {
    await Promise.resolve();
    const pod = this.#set.pods[ordinal];
    if (pod !== undefined) pod.startAt = performance.now() + delayMs;
  }

  #start(node: RealNode): void {
    const protocolMax = this.#protocolMax.get(node.index);
    const seeds = this.#proxyPorts.slice(0, FOUNDERS_MAX).flatMap((port) => ['--join', `127.0.0.1:${port}`]);
    this.#ring.start(node, [
      '--advertise', `127.0.0.1:${this.#proxyPorts[node.index] ?? 0}`, '--listen', '127.0.0.1', '--http-listen', '127.0.0.1', ...seeds, '--bootstrap-expect', String(FOUNDERS_MAX),
      ...this.#credentials.mount(node), '--kubernetes-namespace', 'store', '--kubernetes-stateful-set', 'dht', '--kubernetes-secret', 'dht-cluster', '--leave-policy', 'auto', '--reap-after', '60', '--drain-delay', '1',
      ...(protocolMax === undefined ? [] : ['--protocol-max', String(protocolMax)]),
    ], ENTRY_POINT, { ...this.#options.environment, CHAOS_API: this.#api.url, ...(process.platform === 'linux' && { CHAOS_SOURCE: `${SOURCE_PREFIX}${node.index + 1}` }), CHAOS_CONTROL: this.#controlFile(node.index) });
  }

  #controlFile(ordinal: number): string {
    return path.join(this.#ring.directory, `control-${ordinal}.json`);
  }

  async #control(ordinal: number, control: Control): Promise<void> {
    await writeFile(this.#controlFile(ordinal), JSON.stringify(control));
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
