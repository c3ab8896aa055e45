/**
 * dht dev: a whole ring on this machine, each node a process of its own that speaks TLS with a secret of this ring. All
 * nodes get the same list of names, and found the ring together once each was seen empty; with data from an earlier run
 * they come back as themselves.
 *
 * It only starts, watches and ends the processes. A node that was killed stays down until someone starts it again, so
 * that the ring's own repair can be watched.
 */
import type { ChildProcess } from '../ports/child-processes.ts';
import type { Timer } from '../ports/clock.ts';
import { sleep, type CommandContext, type CommandFlags } from './command-context.ts';
import { CommandFailure, EXIT, usageFailure, type ExitCode } from './exit-code.ts';

export const DEV_FLAGS: CommandFlags = { values: ['nodes', 'port', 'http-port', 'admin-port', 'data-dir'] };

const NODES_MAX = 50;
const PORT_MAX = 65_535;
/** Milliseconds until all nodes have to be ready. */
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const POLL_TIMEOUT_MS = 1000;
/** Milliseconds for a node to end after SIGTERM before it is killed. */
const STOP_TIMEOUT_MS = 10_000;
/** Bytes of the ring's secret. */
const SECRET_BYTES = 32;

interface DevNode {
  readonly name: string;
  readonly gateway: string;
  readonly admin: string;
  readonly command: readonly string[];
  readonly logFile: string;
}

export async function dev(context: CommandContext): Promise<ExitCode> {
  const { deps, options, args } = context;
  const nodes = planNodes(context);
  const dataDirectory = args.value('data-dir') ?? './data';
  await deps.files.makeDirectory(`${dataDirectory}/logs`);
  await deps.files.createSecret(secretFile(dataDirectory), `${deps.random.hex(SECRET_BYTES)}\n`);

  const environment = Object.fromEntries(Object.entries(options.environment).filter(([name]) => !name.startsWith('DHT_')));
  const running = new Map<DevNode, ChildProcess>();
  let isStopping = false;
  let firstEnd: string | null = null;
  let isReady = false;
  let killTimer: Timer | null = null;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    for (const child of running.values()) child.signal('SIGTERM');
    killTimer = deps.clock.after(STOP_TIMEOUT_MS, () => {
      for (const child of running.values()) child.signal('SIGKILL');
    });
  };
  deps.terminal.onStop(stop);
  const ends = nodes.map(async (node) => {
    const [command = '', ...rest] = node.command;
    const child = deps.processes.start({ command, args: rest, environment, outputFile: node.logFile });
    running.set(node, child);
    const end = await child.ended;
    running.delete(node);
    firstEnd ??= `${node.name} ended (${end}); its log is ${node.logFile}`;
    if (isReady && !isStopping) deps.terminal.note(endText(node, end, nodes.length - running.size, nodes.length));
  });

  const outcome = await whenReady(context, nodes, () => isStopping || firstEnd !== null);
  if (outcome === 'ready') {
    isReady = true;
    deps.terminal.print(args.isJson ? `${JSON.stringify({ nodes: nodes.map((node) => ({ name: node.name, gateway: node.gateway, admin: node.admin, pid: running.get(node)?.pid ?? null })) })}\n` : readyText(context, nodes, running, dataDirectory));
  }
  const wasAsked = isStopping;
  const reason = firstEnd ?? `not ready within ${READY_TIMEOUT_MS / 1000} s; the logs are in ${dataDirectory}/logs`;
  if (outcome === 'not-ready') stop();
  await Promise.all(ends);
  (killTimer as Timer | null)?.cancel();
  if (outcome === 'ready' || wasAsked) return EXIT.OK;
  throw new CommandFailure(EXIT.ERROR, `the ring did not start: ${reason}`);
}

function secretFile(dataDirectory: string): string {
  return `${dataDirectory}/cluster-secret`;
}

/** What is started: addresses, commands, logs. Arguments after `--` go to each node. */
function planNodes({ options, args }: CommandContext): readonly DevNode[] {
  const [extra] = args.positionals;
  if (extra !== undefined && !extra.startsWith('--')) throw usageFailure(`dht dev takes no "${extra}"; settings for every node stand behind --`);
  const count = args.integer('nodes', 5, 1, NODES_MAX);
  const first = { ring: args.integer('port', 7400, 1, PORT_MAX), http: args.integer('http-port', 8080, 1, PORT_MAX), admin: args.integer('admin-port', 9464, 1, PORT_MAX) };
  const ranges = Object.entries(first).sort(([, a], [, b]) => a - b);
  for (const [index, [kind, port]] of ranges.entries()) {
    if (port + count - 1 > PORT_MAX) throw usageFailure(`${count} ${kind} ports from ${port} go beyond ${PORT_MAX}`);
    const next = ranges[index + 1];
    if (next !== undefined && port + count > next[1]) throw usageFailure(`${count} ${kind} ports from ${port} run into the ${next[0]} ports from ${next[1]}`);
  }
  const dataDirectory = args.value('data-dir') ?? './data';
  const names = Array.from({ length: count }, (_, index) => `localhost:${first.ring + index}`);
  return names.map((name, index) => {
    const ports = { port: first.ring + index, http: first.http + index, admin: first.admin + index };
    const flags = [
      ['--host', 'localhost'], ['--port', String(ports.port)], ['--http-port', String(ports.http)], ['--admin-port', String(ports.admin)],
      ['--data-dir', dataDirectory], ['--cluster-secret-file', secretFile(dataDirectory)],
      ['--join', names.join(',')], ['--bootstrap-expect', String(count)],
    ];
    return {
      name,
      gateway: `http://localhost:${ports.http}`,
      admin: `http://localhost:${ports.admin}`,
      command: [...options.program, 'node', ...flags.flat(), ...args.positionals],
      logFile: `${dataDirectory}/logs/localhost_${ports.port}.log`,
    };
  });
}

/** Polls every node's readiness until all are, or `isOver`, or the time is up. */
async function whenReady(context: CommandContext, nodes: readonly DevNode[], isOver: () => boolean): Promise<'ready' | 'not-ready'> {
  const { clock, http } = context.deps;
  const waiting = new Set(nodes);
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS && !isOver(); waitedMs += POLL_MS) {
    for (const node of waiting) {
      try {
        const { status } = await http.send({ method: 'GET', url: `${node.admin}/readyz`, headers: {}, body: null, idleTimeoutMs: POLL_TIMEOUT_MS });
        if (status === 200) waiting.delete(node);
      } catch {
        // Not listening yet.
      }
    }
    if (waiting.size === 0) return isOver() ? 'not-ready' : 'ready';
    await sleep(clock, POLL_MS);
  }
  return 'not-ready';
}

/** A command line that a POSIX shell takes as it is. */
export function shellText(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

function endText(node: DevNode, end: string, downCount: number, count: number): string {
  return `\n${node.name} ended (${end}); ${count - downCount} of the ${count} nodes started here are running. Start it again with:\n\n  ${shellText(node.command)}\n\n`;
}

function readyText({ options }: CommandContext, nodes: readonly DevNode[], running: ReadonlyMap<DevNode, ChildProcess>, dataDirectory: string): string {
  const dht = shellText(options.program);
  const gateway = nodes[0]?.gateway ?? '';
  const other = nodes.at(-1)?.gateway ?? '';
  const admin = nodes[0]?.admin ?? '';
  const rows = nodes.map((node) => `  ${node.name.padEnd(16)}  ${node.gateway.padEnd(22)}  ${node.admin.padEnd(22)}  ${running.get(node)?.pid ?? ''}`);
  return `A ring of ${nodes.length} nodes is ready; data, secret and logs are in ${dataDirectory}.

  ${'node'.padEnd(16)}  ${'gateway'.padEnd(22)}  ${'admin'.padEnd(22)}  process
${rows.join('\n')}

Put a file through one node and get it through another:

  echo 'hello, ring' | curl -sS -T - ${gateway}/v1/objects/hello.txt
  curl -sS ${other}/v1/objects/hello.txt

The same with this program:

  echo 'hello again' > hello.txt
  ${dht} put hello.txt --url ${gateway}
  ${dht} get hello.txt -o - --url ${other}
  ${dht} status --admin-url ${admin}

Kill any node (kill -9 PROCESS) to see the ring close; Ctrl-C ends all.
`;
}
