/** dht status, explain, join, leave, recover. */
import type { CommandContext } from './command-context.ts';
import { usageFailure, EXIT, type ExitCode } from './exit-code.ts';
import { NodeClient } from './node-client.ts';
import { bytesText, printable } from './progress-bar.ts';
import type { ExplanationJson, NodeJson, RingJson } from './ring-view.ts';

export async function status(context: CommandContext): Promise<ExitCode> {
  noPositionals(context, 'status');
  return show(context, await new NodeClient(context).read<RingJson>('/v1/ring'), statusText);
}

export async function explain(context: CommandContext): Promise<ExitCode> {
  const [name] = context.args.positionals;
  if (name === undefined || context.args.positionals.length > 1) throw usageFailure('dht explain needs one NAME');
  return show(context, await new NodeClient(context).read<ExplanationJson>(`/v1/ring/lookup?name=${encodeURIComponent(name.toWellFormed())}`), explanationText);
}

export async function join(context: CommandContext): Promise<ExitCode> {
  const seeds = context.args.positionals;
  if (seeds.length === 0) throw usageFailure('dht join needs a HOST:PORT of the ring');
  return show(context, await new NodeClient(context).command<NodeJson>('/v1/node/join', { seeds }), (node) => `${node.host}:${node.port} is ${node.state} in layout ${node.epoch}.\n`);
}

export async function leave(context: CommandContext): Promise<ExitCode> {
  noPositionals(context, 'leave');
  return show(context, await new NodeClient(context).command<NodeJson>('/v1/node/leave', {}), (node) => `${node.host}:${node.port} hands its data over and ends by itself; dht status shows how far it is.\n`);
}

export async function recover(context: CommandContext): Promise<ExitCode> {
  noPositionals(context, 'recover');
  const acceptDataLoss = context.args.has('accept-data-loss');
  return show(context, await new NodeClient(context).command<RingJson>('/v1/ring/recover', { acceptDataLoss }), (ring) => `The ring was recovered.\n\n${statusText(ring)}`);
}

function noPositionals({ args }: CommandContext, command: string): void {
  if (args.positionals.length > 0) throw usageFailure(`dht ${command} takes no "${args.positionals[0] ?? ''}"`);
}

function show<T>({ args, deps }: CommandContext, value: T, text: (value: T) => string): ExitCode {
  deps.terminal.print(args.isJson ? `${JSON.stringify(value)}\n` : text(value));
  return EXIT.OK;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

export function statusText(ring: RingJson): string {
  const head = ['NODE', 'STATE', 'SEEN AS', 'KEY', 'OWNS', 'HOLDS', 'VOTER', 'ZONE'];
  const rows = [...ring.members]
    .sort((a, b) => a.key - b.key)
    .map((member) => [member.name, member.state, member.liveness, String(member.key), percent(member.ownedShare), percent(member.heldShare), member.isVoter ? 'yes' : '', member.zone]);
  const { arcs, moves } = ring;
  const lines = [
    ...table([head, ...rows]),
    '',
    `Layout ${ring.epoch} (${ring.phase}), ${ring.members.length} nodes, ${ring.replicationFactor} copies, M = ${ring.M}.`,
    `Arcs: ${arcs.healthy} of ${arcs.total} healthy, ${arcs.degraded} degraded, ${arcs.unavailable} unavailable.`,
  ];
  if (moves.arcs > 0) lines.push(`Moving: ${moves.arcs} arcs, ${moves.keysLeft} keys and ${bytesText(moves.bytesLeft)} left${moves.estimatedSeconds === null ? '' : `, about ${Math.ceil(moves.estimatedSeconds)} s`}.`);
  for (const { name, trouble } of ring.members) if (typeof trouble === 'string') lines.push(`${name}: ${trouble}.`);
  if (ring.removal !== undefined) lines.push(`May this node be removed now? ${ring.removal}`);
  lines.push(`Everything safe? ${ring.safety}`, ...ring.warnings.map((warning) => `Warning: ${warning}`));
  return `${lines.map(printable).join('\n')}\n`;
}

export function explanationText(explanation: ExplanationJson): string {
  const { name, hash, key, arc, epoch, owner, preferenceList, nextOwner, repairsPending } = explanation;
  const rows = preferenceList.map(({ node, liveness, reason, holds }, index) => [String(index + 1), node, liveness, holdingText(holds), reason]);
  const lines = [
    `"${name}"`,
    `  SHA-256 of the name  ${hash}`,
    `  position             ${key}, in the arc (${arc.from}, ${arc.to}] of layout ${epoch}`,
    `  owner now            ${owner ?? 'none: no replica is reachable'}`,
    `  next owner           ${nextOwner ?? 'none'}`,
    `  repairs pending      ${repairsPending}`,
    '',
    ...table([['', 'NODE', 'SEEN AS', 'HOLDS', 'WHY IT IS HERE'], ...rows]),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function holdingText(holds: ExplanationJson['preferenceList'][number]['holds']): string {
  if (holds === null) return 'no answer';
  if (holds.kind === 'none') return 'nothing';
  const version = holds.version?.split('-', 2).join('-') ?? '?';
  const durable = holds.durable ? '' : ', not durable yet';
  if (holds.kind === 'tombstone') return `deleted in version ${version}${durable}`;
  return `${bytesText(holds.size)}, sha256 ${holds.sha256?.slice(0, 12) ?? '?'}, version ${version}${durable}`;
}

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const columnCount = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columnCount }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
}
