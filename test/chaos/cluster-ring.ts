/**
 * A release of the chart on a real cluster, and what may be done to it: everything that people and machines do to pods,
 * volumes, networks and nodes. Beside Kubernetes' own API it takes three commands by the environment, since no API cuts a
 * cable or kills a process without the pod:
 *
 *   DHT_TEST_NODE_CUT, DHT_TEST_NODE_HEAL   cut a node's network, connect it again; argument: the node's number or name
 *   DHT_TEST_NODE_KILL, DHT_TEST_NODE_START  power a node off, and on; likewise
 *   DHT_TEST_CONTAINER_KILL                  SIGKILL to a container; arguments: node, container id
 *
 * Members are pods: their addresses are asked for again several times a second, because a pod gets a new one at each start.
 */
import { NetworkingV1Api, KubeConfig } from '@kubernetes/client-node';
import type { ExplainView, NodeView, RingView } from '../../src/node/node-service.ts';
import { CHART } from '../chart/chart-files.ts';
import { command, fullname, helm, imageSets, install, isCommandSet, KubeClient, uninstall, until, type PodState } from '../kube/kube-client.ts';
import { adminJson, metric } from '../kube/ring-watch.ts';
import { ringLack, untilWhole } from '../support/ring-lack.ts';
import type { Capability, ChaosNode, ChaosRing } from './chaos-ring.ts';
import type { PodWatch } from './pod-watch.ts';

const REFRESH_MS = 250;
const GATEWAY_PORT = 8080;
const ADMIN_PORT = 9464;
const PEER_PORT = 7400;
const ENDED_MS_MAX = 120_000;
/** Nobody listens there: a pod without an address is one that can't be reached. */
const NOWHERE = 'http://127.0.0.1:1';

export const CLUSTER_CAPABILITIES: ReadonlySet<Capability> = new Set(['evict']);

class PodNode implements ChaosNode {
  readonly ordinal: number;
  readonly isReady: boolean;
  readonly name: string;
  readonly ip: string;

  constructor(ordinal: number, podName: string, pod: PodState | null) {
    this.ordinal = ordinal;
    this.name = `${podName}:${PEER_PORT}`;
    this.isReady = pod?.isReady === true && !pod.isEnding;
    this.ip = pod?.ip ?? '';
  }

  get url(): string {
    return this.ip === '' ? NOWHERE : `http://${this.ip}:${GATEWAY_PORT}`;
  }

  objectUrl(key: string): string {
    return `${this.url}/v1/objects/${key.split('/').map(encodeURIComponent).join('/')}`;
  }

  explain(key: string): Promise<ExplainView> {
    return adminJson(this.ip, `/v1/ring/lookup?name=${encodeURIComponent(key)}`);
  }

  ring(): Promise<RingView> {
    return adminJson(this.ip, '/v1/ring');
  }

  view(): Promise<NodeView> {
    return adminJson(this.ip, '/v1/node');
  }

  metric(name: string, labels = ''): Promise<number | null> {
    return metric(this.ip, name, labels);
  }
}

export class ClusterRing implements ChaosRing {
  readonly client: KubeClient;
  readonly release: string;
  readonly capabilities = CLUSTER_CAPABILITIES;
  readonly #sets: readonly string[];
  readonly #networking: NetworkingV1Api;
  #replicas: number;
  #pods: readonly PodState[] = [];
  #isWatching = false;
  #serviceUrl = '';
  #watch: PodWatch | null = null;
  /** Processes that were ended, by pod: until another one runs, the pod counts as not ready whatever Kubernetes still says. */
  readonly #ended = new Map<string, { readonly uid: string; readonly restarts: number }>();
  readonly #cutNodes = new Set<string>();
  readonly #deadNodes = new Set<string>();
  readonly #policies = new Set<string>();

  constructor(client: KubeClient, release: string, replicas: number, sets: readonly string[]) {
    const config = new KubeConfig();
    config.loadFromDefault();
    this.client = client;
    this.release = release;
    this.#replicas = replicas;
    this.#sets = sets;
    this.#networking = config.makeApiClient(NetworkingV1Api);
  }

  whyNot(): string {
    return 'a cluster can not do that to a pod';
  }

  get replicas(): number {
    return this.#replicas;
  }

  get serviceUrl(): string {
    return this.#serviceUrl;
  }

  /** As last seen; those that are ending too. */
  get pods(): readonly PodState[] {
    return this.#pods;
  }

  /** Wanted pods, those that don't exist too, and pods that are leaving; never none, because clients go on asking. */
  get nodes(): readonly PodNode[] {
    const count = Math.max(1, this.#replicas, ...this.#pods.map(({ name }) => Number(name.slice(name.lastIndexOf('-') + 1)) + 1));
    return Array.from({ length: count }, (_, ordinal) => {
      const pod = this.#pods.find(({ name }) => name === this.podName(ordinal)) ?? null;
      const ended = this.#ended.get(this.podName(ordinal));
      const isSame = pod !== null && ended !== undefined && pod.uid === ended.uid && pod.restarts === ended.restarts;
      return new PodNode(ordinal, this.podName(ordinal), pod !== null && isSame ? { ...pod, isReady: false } : pod);
    });
  }

  pod(ordinal: number): PodState {
    const pod = this.#pods.find(({ name }) => name === this.podName(ordinal));
    if (pod === undefined) throw new Error(`there is no pod ${this.podName(ordinal)}`);
    return pod;
  }

  podName(ordinal: number): string {
    return `${fullname(this.release)}-${ordinal}`;
  }

  /** Wanted pods by ordinal. */
  get ordinals(): readonly number[] {
    return Array.from({ length: this.#replicas }, (_, i) => i);
  }

  async install(): Promise<void> {
    await install(this.client, this.release, `replicaCount=${this.#replicas}`, ...this.#sets);
    await this.watch();
  }

  /** Begins to follow the pods. */
  async watch(): Promise<void> {
    this.#pods = await this.client.pods(this.release);
    this.#serviceUrl = await this.client.serviceUrl(this.release);
    if (this.#isWatching) return;
    this.#isWatching = true;
    void (async () => {
      while (this.#isWatching) {
        this.#pods = await this.client.pods(this.release).catch(() => this.#pods);
        await pause(REFRESH_MS);
      }
    })();
  }

  /** Whose logs and ends are told from now on. */
  follow(watch: PodWatch): void {
    this.#watch = watch;
  }

  get unexpectedEnds(): readonly string[] {
    return this.#watch?.unexpectedEnds ?? [];
  }

  neverLogged(): Promise<readonly string[]> {
    return Promise.resolve(this.#watch?.neverLogged ?? []);
  }

  async openFiles(): Promise<ReadonlyMap<string, number>> {
    const files = new Map<string, number>();
    for (const { name, uid, restarts, ip, isReady } of this.#pods) {
      const count = isReady ? await metric(ip, 'process_open_fds') : null;
      if (count !== null) files.set(`${name} (${uid.slice(0, 8)}, start ${restarts + 1})`, count);
    }
    return files;
  }

  async stop(isKept: boolean): Promise<string> {
    this.#isWatching = false;
    if (!isKept) await this.client.remove();
    return `namespace ${this.client.namespace}`;
  }

  /** SIGKILL where the environment has a command for it, deletion with grace 0 elsewhere. */
  async kill(ordinals: readonly number[]): Promise<void> {
    await Promise.all(ordinals.map((ordinal) => (isCommandSet('DHT_TEST_CONTAINER_KILL') ? this.killContainer(ordinal) : this.deletePod(ordinal, 0))));
  }

  async restart(ordinal: number): Promise<void> {
    const { uid } = this.pod(ordinal);
    await this.deletePod(ordinal);
    await until(() => Promise.resolve(!this.#pods.some((pod) => pod.uid === uid)), ENDED_MS_MAX, `${this.podName(ordinal)} has ended`);
  }

  async loseVolumes(ordinals: readonly number[]): Promise<void> {
    await Promise.all(ordinals.map((ordinal) => this.loseVolume(ordinal)));
  }

  /** grace 0: SIGTERM and SIGKILL shortly after, and the next pod may start before that. */
  async deletePod(ordinal: number, gracePeriodSeconds?: number): Promise<void> {
    this.#noteEnd(ordinal);
    await this.#ignoringAbsent(gracePeriodSeconds === undefined
      ? this.client.core.deleteNamespacedPod({ namespace: this.client.namespace, name: this.podName(ordinal) })
      : this.client.deletePod(this.podName(ordinal), gracePeriodSeconds));
  }

  /** SIGKILL to the process, by the command of the environment; the pod stays and its container starts again. */
  async killContainer(ordinal: number): Promise<void> {
    const { items } = await this.client.core.listNamespacedPod({ namespace: this.client.namespace, labelSelector: `app.kubernetes.io/instance=${this.release}` });
    const pod = items.find(({ metadata }) => metadata?.name === this.podName(ordinal));
    const id = pod?.status?.containerStatuses?.find(({ name }) => name === 'dht')?.containerID?.replace(/^.*:\/\//, '');
    if (id === undefined || pod?.spec?.nodeName === undefined) throw new Error(`${this.podName(ordinal)} has no container`);
    this.#noteEnd(ordinal);
    await this.#byEnvironment('DHT_TEST_CONTAINER_KILL', nodeNumber(pod.spec.nodeName), id);
  }

  /** Whether the disruption budget allowed it; doesn't wait for the end. */
  async evict(ordinal: number): Promise<boolean> {
    const name = this.podName(ordinal);
    const { namespace } = this.client;
    const status = await this.client.core.createNamespacedPodEviction({ namespace, name, body: { metadata: { name, namespace } } })
      .then(() => 201, (error: unknown) => (error as { code?: number }).code ?? 0);
    if (status !== 201 && status !== 429 && status !== 404) throw new Error(`eviction of ${name}: ${status}`);
    if (status === 201) this.#noteEnd(ordinal);
    return status === 201;
  }

  async scale(replicas: number): Promise<void> {
    await this.client.scale(this.release, replicas);
    this.#replicas = replicas;
  }

  /** The claim first, which stays until nothing uses it: the new pod gets a new volume. */
  async loseVolume(ordinal: number): Promise<void> {
    const { uid } = this.pod(ordinal);
    await this.#ignoringAbsent(this.client.core.deleteNamespacedPersistentVolumeClaim({ namespace: this.client.namespace, name: `data-${this.podName(ordinal)}` }));
    await this.deletePod(ordinal, 0);
    await until(async () => (await this.client.pods(this.release)).some((pod) => pod.name === this.podName(ordinal) && pod.uid !== uid), 60_000, `${this.podName(ordinal)} has a new volume`);
  }

  /** As `kubectl rollout restart` does it. */
  async rollingRestart(): Promise<void> {
    const set = { namespace: this.client.namespace, name: fullname(this.release) };
    const present = await this.client.apps.readNamespacedStatefulSet(set);
    const { template } = present.spec ?? {};
    if (template?.metadata === undefined) throw new Error('the StatefulSet has no template');
    template.metadata.annotations = { ...template.metadata.annotations, 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
    await this.client.apps.replaceNamespacedStatefulSet({ ...set, body: present });
    await this.#untilRolledOut();
  }

  /** A Helm upgrade that changes the pods' configuration. Helm itself doesn't wait: it gives up at the first pod that is killed meanwhile. */
  async upgrade(...sets: readonly string[]): Promise<void> {
    await helm('upgrade', this.release, CHART, '--namespace', this.client.namespace, ...imageSets(), ...[`replicaCount=${this.#replicas}`, ...this.#sets, ...sets].flatMap((set) => ['--set', set]));
    await this.#untilRolledOut();
  }

  async uninstall(): Promise<void> {
    await uninstall(this.client, this.release);
    await until(async () => (await this.client.pods(this.release)).length === 0, 180_000, 'no pod is left');
  }

  /** A NetworkPolicy that lets nobody but clients of the gateway and the admin port reach this pod, and it none of the others. */
  async partition(ordinal: number): Promise<void> {
    const name = `chaos-${this.podName(ordinal)}`;
    await this.#networking.createNamespacedNetworkPolicy({
      namespace: this.client.namespace,
      body: {
        metadata: { name },
        spec: {
          podSelector: { matchLabels: { 'statefulset.kubernetes.io/pod-name': this.podName(ordinal) } },
          policyTypes: ['Ingress', 'Egress'],
          ingress: [{ ports: [{ port: GATEWAY_PORT }, { port: ADMIN_PORT }] }],
          egress: [],
        },
      },
    });
    this.#policies.add(name);
  }

  async healPartitions(): Promise<void> {
    for (const name of this.#policies) await this.#ignoringAbsent(this.#networking.deleteNamespacedNetworkPolicy({ namespace: this.client.namespace, name }));
    this.#policies.clear();
  }

  /** Cuts the network of the node on which the pod runs. */
  async cutNodeOf(ordinal: number): Promise<string> {
    const { node } = this.pod(ordinal);
    this.#cutNodes.add(node);
    await this.#byEnvironment('DHT_TEST_NODE_CUT', nodeNumber(node));
    return node;
  }

  /** Powers off the node on which the pod runs. */
  async killNodeOf(ordinal: number): Promise<string> {
    const { node } = this.pod(ordinal);
    this.#deadNodes.add(node);
    await this.#byEnvironment('DHT_TEST_NODE_KILL', nodeNumber(node));
    return node;
  }

  async healNodes(): Promise<void> {
    for (const node of this.#cutNodes) await this.#byEnvironment('DHT_TEST_NODE_HEAL', nodeNumber(node));
    this.#cutNodes.clear();
    for (const node of this.#deadNodes) await this.#byEnvironment('DHT_TEST_NODE_START', nodeNumber(node));
    this.#deadNodes.clear();
  }

  /** As `kubectl drain` does it: nothing new comes to the node, and its pods are evicted, again while the budget refuses. */
  async drainNodeOf(ordinal: number): Promise<string> {
    const { node } = this.pod(ordinal);
    await this.#cordon(node, true);
    try {
      for (const pod of this.#pods.filter((other) => other.node === node)) {
        const own = Number(pod.name.slice(pod.name.lastIndexOf('-') + 1));
        await until(() => this.evict(own), 120_000, `${pod.name} is evicted`);
      }
    } finally {
      await this.#cordon(node, false);
    }
    return node;
  }

  /** Ends every fault. */
  async heal(): Promise<void> {
    await this.healPartitions();
    await this.healNodes();
  }

  async untilReady(ordinals: readonly number[], deadlineMs: number): Promise<number> {
    return await until(() => {
      const { nodes } = this;
      return Promise.resolve(ordinals.every((ordinal) => nodes[ordinal]?.isReady === true));
    }, deadlineMs, `pods ${ordinals.join(', ')} are ready`);
  }

  pause(): Promise<void> { return this.#impossible(); }
  resume(): Promise<void> { return this.#impossible(); }
  link(): Promise<void> { return this.#impossible(); }
  swapAddresses(): Promise<void> { return this.#impossible(); }
  impersonate(): Promise<void> { return this.#impossible(); }
  fillDisk(): Promise<void> { return this.#impossible(); }
  freeDisk(): Promise<void> { return this.#impossible(); }
  damage(): Promise<number> { return this.#impossible(); }
  apiFault(): Promise<void> { return this.#impossible(); }
  shiftClock(): Promise<void> { return this.#impossible(); }
  slow(): Promise<void> { return this.#impossible(); }
  chooseVersion(): Promise<void> { return this.#impossible(); }
  replaceCertificate(): Promise<void> { return this.#impossible(); }
  rotateSecret(): Promise<void> { return this.#impossible(); }
  foundAnew(): Promise<ReadonlySet<string>> { return this.#impossible(); }

  /** What is missing until all wanted pods serve and all copies are where they belong; null: nothing. */
  async lack(): Promise<string | null> {
    try {
      const pods = await this.client.pods(this.release);
      if (pods.length !== this.#replicas) return `${pods.length} pods, ${this.#replicas} are wanted`;
      const unready = pods.filter(({ isReady, isEnding }) => !isReady || isEnding);
      if (unready.length > 0) return `${unready.map(({ name, isEnding }) => `${name} is ${isEnding ? 'ending' : 'not ready'}`).join(', ')}`;
      const nodes = pods.map((pod, i) => new PodNode(i, pod.name, pod));
      return await ringLack(nodes, this.#replicas);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  untilWhole(deadlineMs: number): Promise<number> {
    return untilWhole(() => this.lack(), deadlineMs);
  }

  #impossible(): Promise<never> {
    return Promise.reject(new Error(this.whyNot()));
  }

  #noteEnd(ordinal: number): void {
    const pod = this.#pods.find(({ name }) => name === this.podName(ordinal));
    if (pod !== undefined) this.#ended.set(pod.name, { uid: pod.uid, restarts: pod.restarts });
  }

  async #untilRolledOut(): Promise<void> {
    const set = { namespace: this.client.namespace, name: fullname(this.release) };
    await until(async () => {
      const { metadata, status } = await this.client.apps.readNamespacedStatefulSet(set);
      return status?.observedGeneration === metadata?.generation && status?.updateRevision === status?.currentRevision && status?.readyReplicas === this.#replicas;
    }, 600_000, 'the new revision is rolled out');
  }

  async #cordon(name: string, unschedulable: boolean): Promise<void> {
    const node = await this.client.core.readNode({ name });
    await this.client.core.replaceNode({ name, body: { ...node, spec: { ...node.spec, unschedulable } } });
  }

  async #byEnvironment(variable: string, ...args: readonly string[]): Promise<void> {
    const program = process.env[variable] ?? '';
    if (program === '') throw new Error(`${variable} is not set`);
    await command(program, args);
  }

  async #ignoringAbsent(call: Promise<unknown>): Promise<void> {
    await call.catch((error: unknown) => {
      if ((error as { code?: number }).code !== 404) throw error;
    });
  }
}

const nodeNumber = (node: string): string => node.replace(/^n(?=\d+$)/, '');
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
