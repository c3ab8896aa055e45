/**
 * The program `dht`: finds the command, opens the doors on Node, and starts one node with its gateway and admin port.
 *
 * A node's process ends with 0 after a signal (a planned restart) or when it has left the ring, 2 for a wrong setting, 1
 * when it can't start or its disk fails, 70 for a bug. The ports listen before the node has started, so that probes and
 * clients get an answer that says so.
 */
import { relative, resolve } from 'node:path';
import { runCommandLine } from './cli/command-line.ts';
import { EXIT } from './cli/exit-code.ts';
import type { NodeSettings } from './config/node-settings.ts';
import { advertised, interfaces, isLoopback, parseSettings } from './config/parse-settings.ts';
import { SETTINGS } from './config/settings-catalogue.ts';
import { settingsHelp } from './config/settings-help.ts';
import { assertNever } from './domain/assert.ts';
import { DhtError } from './domain/error-catalogue.ts';
import type { NodeId } from './domain/ids.ts';
import { INLINE_BODY_BYTES_MAX, OBJECT_BYTES_MAX } from './domain/limits.ts';
import { addressText } from './domain/node-address.ts';
import { PROTOCOL_VERSIONS } from './domain/protocol-versions.ts';
import { ALL_RULES } from './domain/rules.ts';
import { createAdminApp } from './gateway/admin-app.ts';
import { parseBearerTokens, type BearerToken } from './gateway/bearer-tokens.ts';
import { createGatewayApp } from './gateway/gateway-app.ts';
import { createMetricsApp } from './gateway/metrics-app.ts';
import { rawProblem } from './gateway/problem.ts';
import { RequestIds } from './gateway/request-ids.ts';
import { Installation } from './kubernetes/installation.ts';
import { KubernetesClusterInfo } from './kubernetes/kubernetes-cluster-info.ts';
import { decideShutdown } from './kubernetes/shutdown-decision.ts';
import { PromMeter } from './metrics/prom-meter.ts';
import { DhtNode } from './node/dht-node.ts';
import type { NodeEnd, NodeOptions } from './node/node-options.ts';
import { NODE_TUNING } from './node/node-tuning.ts';
import type { Log } from './ports/log.ts';
import type { MetricsServer } from './ports/metrics-server.ts';
import { adminToken, parseClusterSecret, type ClusterSecret } from './runtime/cluster-secret.ts';
import { HttpServer, type TlsIdentity } from './runtime/http-server.ts';
import { JsonLog } from './runtime/json-log.ts';
import { LoopDelayMonitor } from './runtime/loop-delay-monitor.ts';
import { NodeChildProcesses } from './runtime/node-child-processes.ts';
import { NodeClock } from './runtime/node-clock.ts';
import { NodeDisk } from './runtime/node-disk.ts';
import { countLookups } from './runtime/name-resolver.ts';
import { NodeHttpClient } from './runtime/node-http-client.ts';
import { NodeLocalFiles } from './runtime/node-local-files.ts';
import { NodeNetwork } from './runtime/node-network.ts';
import { NodeRandom } from './runtime/node-random.ts';
import { ProcessTerminal } from './runtime/process-terminal.ts';
import { programBuild, programVersion } from './runtime/program-version.ts';
import type { ProgressOptions } from './runtime/progress-watchdog.ts';
import { useRenewed, type RenewedFilesDeps } from './runtime/renewed-files.ts';
import { onShutdownSignal } from './runtime/shutdown-signals.ts';

/** Milliseconds that probes under way get to end. */
const ADMIN_DRAIN_MS = 0;
/** Milliseconds that a call to the Kubernetes API may take; three of them fit into the drain delay. */
const KUBERNETES_CALL_TIMEOUT_MS = 3_000;
/** Milliseconds between two looks at whether the node is ready, until it is. */
const READY_POLL_MS = 50;
/** Connections to the admin port: probes, a scraper and a few people. */
const ADMIN_CONNECTIONS_MAX = 256;
/** Bytes of an answer that a command takes: the names of a page, at their longest. */
const COMMAND_ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds until a body is sent to a server that doesn't answer Expect: a round trip and some patience. */
const EXPECT_TIMEOUT_MS = 1000;
/** Milliseconds between two looks at which ring this node is in, until it is in one. */
const RING_POLL_MS = 1_000;
const TOKEN_BYTES = 32;
const SECRET_FILE_BYTES_MAX = 4096;
const TOKENS_FILE_BYTES_MAX = 1024 * 1024;
/** Bytes of a certificate with its chain, and of a key. */
const PEM_FILE_BYTES_MAX = 256 * 1024;
/** When a client that stands still is cut; 30 s for one that takes an answer, as BODY_PROGRESS_MS has it between nodes. */
const HTTP_PROGRESS: ProgressOptions = { intervalMs: 10_000, sentBytesMin: 10 * 1024, takingLooksMax: 3 };

async function main(): Promise<void> {
  const [command, ...args] = process.argv.slice(2);
  if (command === 'node') return await nodeCommand(args);
  const clock = new NodeClock();
  const random = new NodeRandom();
  process.exitCode = await runCommandLine(
    process.argv.slice(2),
    {
      terminal: new ProcessTerminal(),
      files: new NodeLocalFiles(),
      http: new NodeHttpClient({ bytesMax: COMMAND_ANSWER_BYTES_MAX, expectBytesMin: INLINE_BODY_BYTES_MAX, expectTimeoutMs: EXPECT_TIMEOUT_MS }),
      processes: new NodeChildProcesses(),
      clock,
      random,
      metricsServer: () => metricsServer(random),
      adminToken: (text) => adminToken(parseClusterSecret(text)),
    },
    { environment: process.env, program: program(), version: programVersion(), nodeFlags: Object.values(SETTINGS).flatMap(({ flag }) => (flag === null ? [] : [flag])) },
  );
}

function metricsServer(random: NodeRandom): MetricsServer {
  const meter = new PromMeter(programBuild());
  const requestIds = new RequestIds(random);
  const log = new JsonLog({ write: (line) => process.stderr.write(line) }, { level: 'warn', format: 'json', fields: {} });
  return {
    meter,
    listen: async ({ host, port }) => {
      const app = createMetricsApp({ log, metrics: meter, requestIds });
      const server = await HttpServer.start(app, { host, port, connectionsMax: ADMIN_CONNECTIONS_MAX, progress: HTTP_PROGRESS, tls: null, parseErrorAnswer: (parserCode) => rawProblem(parserCode, requestIds.next()) });
      return { port: server.port, close: () => server.close(ADMIN_DRAIN_MS) };
    },
  };
}

/** How this program is called: `dht` when that is how it was, else the runtime and the script, short where possible. */
function program(): readonly string[] {
  const script = process.argv[1] ?? '';
  const short = (path: string): string => {
    const below = relative(process.cwd(), path);
    return below.startsWith('..') ? path : `./${below}`;
  };
  return [short(process.execPath), short(script)];
}

async function nodeCommand(args: readonly string[]): Promise<void> {
  const outcome = parseSettings(args, process.env);
  switch (outcome.kind) {
    case 'help':
      process.stdout.write(settingsHelp());
      return;
    case 'wrong':
      process.stderr.write(`dht node: ${outcome.message}\n`);
      process.exitCode = EXIT.USAGE;
      return;
    case 'settings':
      return await runNode(outcome.settings);
    default:
      return assertNever(outcome);
  }
}

async function runNode(settings: NodeSettings): Promise<void> {
  const isText = settings.logFormat === 'text' || (settings.logFormat === 'auto' && process.stderr.isTTY);
  const log = new JsonLog({ write: (line) => process.stderr.write(line) }, { level: settings.logLevel, format: isText ? 'text' : 'json', fields: { node: addressText(settings) } });
  const die = (error: unknown): void => {
    log.error('The program met an error of its own', { error: error instanceof Error ? error.stack : String(error) });
    process.exit(EXIT.INTERNAL);
  };
  // A log that can't be written, to a full volume or a reader that went, is no reason to end.
  process.stderr.on('error', () => undefined);
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  try {
    await serve(settings, log);
  } catch (error) {
    // What keeps a node from starting: a port or a directory in use, a foreign directory, an unreadable secret.
    if (!(error instanceof DhtError) && !(error instanceof Error && 'code' in error)) throw error;
    log.error('The node could not start', { code: String(error.code), detail: error.message });
    process.exit(error.code === 'DHT_ERR_SETTING_INVALID' ? EXIT.USAGE : EXIT.ERROR);
  }
}

async function serve(settings: NodeSettings, log: Log): Promise<void> {
  const version = programVersion();
  const clock = new NodeClock();
  const random = new NodeRandom();
  const meter = new PromMeter(programBuild());
  const requestIds = new RequestIds(random);
  const files = new NodeLocalFiles();
  const tokens = await gatewayTokens(settings, { clock, files, log });
  let renewTls: (identity: TlsIdentity) => void = () => undefined;
  const tls = await gatewayTls(settings, { clock, files, log }, (identity) => { renewTls(identity); });
  const bind = interfaces(settings);

  let node: DhtNode | null = null;
  let waitsFor: string | null = null;
  let drains: string | null = null;
  // Off loopback, and before the secret is known, one that nobody can know.
  let token = isLoopback(bind.adminListen) ? null : random.hex(TOKEN_BYTES);
  const edge = { node: () => node, log, requestIds };
  const parseErrorAnswer = (parserCode: string): Buffer => rawProblem(parserCode, requestIds.next());
  const gateway = await HttpServer.start(createGatewayApp({ ...edge, clock, meter }, { requestsMax: settings.httpRequestsMax, objectBytesMax: OBJECT_BYTES_MAX, tokens, version }), { host: bind.httpListen, port: settings.httpPort, connectionsMax: settings.httpConnectionsMax, progress: HTTP_PROGRESS, tls, parseErrorAnswer });
  renewTls = (identity) => { gateway.renewTls(identity); };
  const admin = await HttpServer.start(createAdminApp({ ...edge, clock, metrics: meter, waitsFor: () => waitsFor, drains: () => drains }, { adminToken: () => token, version }), { host: bind.adminListen, port: settings.adminPort, connectionsMax: ADMIN_CONNECTIONS_MAX, progress: HTTP_PROGRESS, tls: null, parseErrorAnswer });

  // A process that only waits may end at any time.
  let onSignal: (signal: string) => void = () => process.exit(EXIT.OK);
  onShutdownSignal((signal) => { onSignal(signal); });

  const installation = await installationOf(settings, { clock, random, log, meter });
  waitsFor = 'waits for the secret of the installation';
  const secret = await clusterSecret(settings, files, installation);
  waitsFor = null;
  const transportSecret = settings.insecureTransport ? null : secret;
  if (token !== null && secret !== null) token = adminToken(secret);
  const founderCount = await installation?.founderCount() ?? settings.bootstrapExpect;

  if (transportSecret === null) log.warn('Traffic between nodes is neither encrypted nor authenticated', { reason: settings.insecureTransport ? '--insecure-transport' : 'no cluster secret on loopback' });
  if (tokens !== null && tls === null && !isLoopback(bind.httpListen)) log.warn('Gateway tokens travel unencrypted', { reason: 'no --tls-cert-file' });
  const loopDelay = new LoopDelayMonitor();
  const deps = {
    clock, random, network: new NodeNetwork({ secret: transportSecret, onLookup: countLookups(meter) }), disk: new NodeDisk(), log, meter, loopDelayMs: () => loopDelay.takeP99Ms(), rules: ALL_RULES,
    mayFound: installation === null ? null : (id: NodeId) => installation.mayFound(id),
  };
  const started = await DhtNode.start(deps, nodeOptions({ ...settings, bootstrapExpect: founderCount }, bind.listen, transportSecret === null ? 'plaintext' : 'tls-psk'));
  started.setPorts({ httpPort: gateway.port, adminPort: admin.port });
  node = started;
  const { host, port, nodeId } = started.view();
  log.info('The node listens', { host, port, httpPort: gateway.port, adminPort: admin.port, gateway: tls === null ? 'http' : 'https', nodeId, version });
  logWhenReady(started, clock, log);
  if (installation !== null) keepToInstallation(installation, started, clock, log);

  // Requests under way need the node, so the gateway goes first.
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => (stopping ??= gateway.close(settings.httpDrain * 1000).then(() => started.stop()));
  onSignal = (signal) => {
    log.info('The node stops', { signal });
    drains = 'draining: the node was told to stop';
    gateway.drain();
    const { arcs, members } = started.ring();
    const ring = { isEveryArcAvailable: arcs.total > 0 && arcs.unavailable === 0, memberCount: members.length };
    const decided = installation?.decide(ring)
      ?? Promise.resolve(decideShutdown({ ...ring, policy: settings.leavePolicy, ordinal: null, uidAtStart: null, desired: { kind: 'unknown', detail: 'there is no StatefulSet' } }));
    const delayed = new Promise<void>((resolve) => { clock.after(settings.drainDelay * 1000, resolve); });
    void Promise.all([decided, delayed]).then(async ([{ kind, reason }]) => {
      log.info('Decided what the signal means', { decision: kind, reason });
      if (kind === 'leave' && (await started.leave()).kind === 'leaving') await gateway.close(settings.httpDrain * 1000);
      else await stop();
    });
  };
  const end = await started.ended;
  installation?.stop();
  // A disk that failed may never answer again; nothing of it is waited for.
  if (end.kind !== 'failed') await stop();
  await admin.close(ADMIN_DRAIN_MS);
  logEnd(end, log);
  process.exit(end.kind === 'stopped' || end.kind === 'left' ? EXIT.OK : EXIT.ERROR);
}

/** Null: this process is no pod of a StatefulSet. */
async function installationOf(settings: NodeSettings, deps: { readonly clock: NodeClock; readonly random: NodeRandom; readonly log: Log; readonly meter: PromMeter }): Promise<Installation | null> {
  const { kubernetesNamespace, kubernetesStatefulSet, kubernetesSecret } = settings;
  if (kubernetesNamespace === null || kubernetesStatefulSet === null || kubernetesSecret === null) return null;
  const info = await KubernetesClusterInfo.load(deps, { namespace: kubernetesNamespace, statefulSet: kubernetesStatefulSet, secret: kubernetesSecret, callTimeoutMs: KUBERNETES_CALL_TIMEOUT_MS });
  return new Installation({ ...deps, info, random: deps.random.fork('installation') }, { podName: settings.host, statefulSet: kubernetesStatefulSet, leavePolicy: settings.leavePolicy, reapAfterMs: settings.reapAfter * 1000 });
}

/** From the environment, a file, or the installation's Secret, in this order; null: none is set. */
async function clusterSecret(settings: NodeSettings, files: NodeLocalFiles, installation: Installation | null): Promise<ClusterSecret | null> {
  if (settings.clusterSecret !== null) return parseClusterSecret(settings.clusterSecret);
  const { clusterSecretFile } = settings;
  if (clusterSecretFile !== null) {
    const bytes = await files.read(clusterSecretFile, SECRET_FILE_BYTES_MAX).catch((error: unknown) => {
      // The mounted Secret has no entry before the first node has filled it.
      if (installation !== null && error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    if (bytes !== null) return parseClusterSecret(bytes.toString('utf8'));
  }
  return installation === null ? null : parseClusterSecret(await installation.secret());
}

/** Ends the process when its ring is not the installation's; tells the ring of members that nobody wants any more. */
function keepToInstallation(installation: Installation, node: DhtNode, clock: NodeClock, log: Log): void {
  const check = (): void => {
    const { clusterId } = node.view();
    if (clusterId === null) {
      clock.after(RING_POLL_MS, check);
      return;
    }
    void installation.foreignRing(clusterId).then((wrong) => {
      if (wrong === null) return;
      log.error('This node is in another ring than its installation', { detail: wrong });
      process.exit(EXIT.ERROR);
    });
  };
  check();
  node.expectMembers(() => installation.wantedMembers);
  installation.watchOrphans(() => node.membersDown(), (names) => { node.orphaned(names); });
}

/** Those of now, whenever it is asked. */
async function gatewayTokens({ gatewayTokensFile }: NodeSettings, deps: RenewedFilesDeps): Promise<(() => readonly BearerToken[]) | null> {
  if (gatewayTokensFile === null) return null;
  let tokens: readonly BearerToken[] = [];
  await useRenewed(deps, { what: 'gateway tokens', paths: [gatewayTokensFile], bytesMax: TOKENS_FILE_BYTES_MAX, use: ([text]) => { tokens = parseBearerTokens(text?.toString('utf8') ?? ''); } });
  return () => tokens;
}

/** What to begin with; each later one is told to `renew`. */
async function gatewayTls({ tlsCertFile, tlsKeyFile }: NodeSettings, deps: RenewedFilesDeps, renew: (identity: TlsIdentity) => void): Promise<TlsIdentity | null> {
  if (tlsCertFile === null || tlsKeyFile === null) return null;
  let first: TlsIdentity | null = null;
  await useRenewed(deps, {
    what: 'gateway certificate', paths: [tlsCertFile, tlsKeyFile], bytesMax: PEM_FILE_BYTES_MAX,
    use: ([cert, key]) => {
      const identity = { cert: cert ?? Buffer.alloc(0), key: key ?? Buffer.alloc(0) };
      if (first === null) first = identity;
      else renew(identity);
    },
  });
  return first;
}

function nodeOptions(settings: NodeSettings, listenHost: string, transport: 'tls-psk' | 'plaintext'): NodeOptions {
  const { host, port, replicas, keyBits, tokens, candidates } = settings;
  return {
    address: { host, port },
    advertise: settings.advertise === null ? null : addressText(advertised(settings)),
    listenHost,
    dataDirectory: resolve(settings.dataDir),
    join: settings.join.map(addressText),
    bootstrapExpect: settings.bootstrapExpect,
    isJoinOff: settings.noJoin,
    ring: { keyBits, replicas, tokensPerNode: tokens, candidatesPerToken: candidates },
    zone: settings.zone,
    weight: 1,
    outAfterMs: settings.outAfter === 0 ? null : settings.outAfter * 1000,
    metricsPerPeer: settings.metricsPerPeer,
    transport,
    versions: { min: PROTOCOL_VERSIONS.min, max: settings.protocolMax },
    tuning: NODE_TUNING,
  };
}

function logWhenReady(node: DhtNode, clock: NodeClock, log: Log): void {
  const { isOk, reason } = node.readiness();
  if (isOk) log.info('Ready', { reason });
  else clock.after(READY_POLL_MS, () => logWhenReady(node, clock, log));
}

function logEnd(end: NodeEnd, log: Log): void {
  switch (end.kind) {
    case 'stopped':
      return log.info('The node has stopped');
    case 'left':
      return log.info('The node has left the ring');
    case 'identity-lost':
      return log.error('The node can no longer be who it was; started again, it joins as a new node', { detail: end.detail });
    case 'failed':
      return log.error('The node failed', { code: end.code, detail: end.detail });
    default:
      return assertNever(end);
  }
}

await main();
