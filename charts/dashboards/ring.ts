/** `dht / Ring`: membership, the talk between nodes, copies and moves; for those who run the ring. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboard, type Row } from './dashboard.ts';
import { bars, lines, ONE_IS_GOOD, stat, states } from './panels.ts';
import { happened, of, quantile, query, rate, stateNumber } from './queries.ts';

export function ringDashboard(): Dashboard {
  return dashboard({
    uid: 'dht-ring',
    title: 'dht / Ring',
    description: 'Who is in the ring and who thinks so, how nodes talk, what lacks copies and what moves.',
    rows: [membership(), failureDetection(), peers(), repair(), moves()],
  });
}

const STATES = [['starting', 'yellow'], ['joining', 'blue'], ['serving', 'green'], ['leaving', 'blue'], ['left', 'text'], ['damaged', 'red'], ['stopped', 'orange']] as const;

function membership(): Row {
  return {
    title: 'Membership',
    panels: [
      states({
        title: 'State of each node', unit: 'short', states: STATES,
        description: 'What each node was doing. damaged: its log lost something, the node says in its log what it waits for. starting or joining for more than some minutes: it finds no majority, look at its log.',
        queries: [query(stateNumber('dht_node_state', 'state', STATES.map(([state]) => state)), '{{instance}}')],
      }),
      lines({
        title: 'Members by state, as seen by each node', unit: 'short',
        description: 'How many members each node holds for alive, suspect or down. Lines of different nodes that stay apart: some nodes cannot reach others, look at the connection failures.',
        queries: [query(`max by (instance, state) (${of('dht_ring_members')}) > 0`, '{{instance}}: {{state}}')],
      }),
      lines({
        title: 'Changes', unit: 'short',
        description: 'Joins, leaves and the like in the layouts that the nodes took over. remove: taken out because it was down for too long. recover: a person said that nodes are lost.',
        queries: [query(`max by (change) (${happened('dht_ring_changes_total')})`, '{{change}}')],
      }),
      stat({
        title: 'May be removed now', unit: 'short', width: 8, height: 8, steps: [[null, 'orange'], [1, 'green']], words: { 0: 'no', 1: 'yes' },
        description: 'Whether each node may leave for good now: dht leave, or scale down. no: data moves, copies are missing, or another node is down; GET /v1/ring of that node says which.',
        queries: [query(`min by (instance) (${of('dht_node_safe_to_remove')})`, '{{instance}}')],
      }),
      lines({
        title: 'Epoch', unit: 'none',
        description: 'Number of the layout that each node has. All the same within seconds; a node that stays behind cannot reach the others, and refuses to answer by the old layout.',
        queries: [query(`max by (instance) (${of('dht_ring_epoch')})`, '{{instance}}')],
      }),
      stat({
        title: 'Different layouts', unit: 'short', width: 8, height: 8, steps: ONE_IS_GOOD,
        description: 'How many different layouts the nodes have, by their checksums. Two for a moment while one spreads; two for minutes with the same epochs would be a fault of the program: report it.',
        queries: [query(`count by (job) (count_values by (job) ("checksum", ${of('dht_ring_checksum')} > 0))`, '{{job}}')],
      }),
      stat({
        title: 'Since the last change', unit: 's', width: 8, height: 8,
        description: 'How long ago the nodes last took over a layout; since the last start of a node if none came since. Short again and again: members come and go, see the changes.',
        queries: [query(`time() - max by (job) (${of('dht_ring_last_change_timestamp_seconds')})`, '{{job}}')],
      }),
      lines({
        title: 'Members wanted and alive', unit: 'short',
        description: 'What the StatefulSet wants (0 outside Kubernetes, or while its API gives no answer) and what the most pessimistic node sees alive. Apart for long: a pod can not start, or does not find the ring.',
        queries: [query(`max by (job) (${of('dht_ring_expected_members')})`, '{{job}} wanted'), query(`min by (job) (${of('dht_ring_members', 'state="alive"')})`, '{{job}} alive')],
      }),
      lines({
        title: 'Attempts to join', unit: 'short',
        description: 'How nodes that start find a ring. unreachable: a seed does not answer. no_ring: it has none either, as when all start. rejected: a ring does not take the node, its log says why.',
        queries: [query(`sum by (result) (${happened('dht_ring_join_attempts_total')})`, '{{result}}')],
      }),
      bars({
        title: 'Tokens', unit: 'short', min: 0, decimals: 0,
        description: 'Positions of each node on the ring. The same on all; 0: the node is in no layout. More tokens balance better, fewer move in larger pieces; the founder set them.',
        queries: [query(`max by (instance) (${of('dht_ring_tokens')})`, '{{instance}}')],
      }),
      bars({
        title: 'Owned part of the ring', unit: 'percentunit', min: 0, decimals: 1,
        description: 'Part of all names for which each node is first. About 1/N each, within a third; a new node reaches its part when its move has ended.',
        queries: [query(`max by (instance) (${of('dht_ring_owned_ratio')})`, '{{instance}}')],
      }),
      bars({
        title: 'Held part of the ring', unit: 'percentunit', min: 0, max: 1, decimals: 1,
        description: 'Part of all names of which each node keeps a copy: the replication factor divided by N. With as many nodes as copies each holds everything.',
        queries: [query(`max by (instance) (${of('dht_ring_held_ratio')})`, '{{instance}}')],
      }),
      lines({
        title: 'Ranges by health', unit: 'short',
        description: 'Parts of the ring by what their live replicas allow, as seen by the most pessimistic node. unavailable: no quorum.',
        queries: [query(`max by (status) (${of('dht_ring_ranges', 'status!="healthy"')})`, '{{status}}')],
      }),
    ],
  };
}

function failureDetection(): Row {
  return {
    title: 'Failure detection and gossip',
    panels: [
      lines({
        title: 'Probes by result', unit: 'ops',
        description: 'Pings of the next members, and questions to others whether they reach one. error: it could not be sent, the member is gone. timeout: it, or this node, is slow; above a fifth for long, see which node asks.',
        queries: [query(`sum by (kind, result) (${rate('dht_failure_detector_probes_total')})`, '{{kind}}: {{result}}')],
      }),
      lines({
        title: 'Probes without an answer in time, by node', unit: 'percentunit', limit: 0.2, top: 1,
        description: 'Part of the pings of each node that got no answer in time. One node above the line: it or its network is slow. Several: they ping the same member, which hangs.',
        queries: [query(`sum by (instance) (${rate('dht_failure_detector_probes_total', 'kind="direct",result="timeout"')}) / sum by (instance) (${rate('dht_failure_detector_probes_total', 'kind="direct"')})`, '{{instance}}')],
      }),
      lines({
        title: 'Round trip of probes, 99th percentile', unit: 's', limit: 0.5,
        description: 'Time until an answered probe was answered. It does no work at the other end, so this is the network and the delay of both event loops. A ping is given up after 0.5 s, later by a node that distrusts itself.',
        queries: [query(`${quantile(0.99, 'dht_failure_detector_probe_duration_seconds', ['kind'])} >= 0`, '{{kind}}')],
      }),
      lines({
        title: 'Time to find a failure', unit: 's', limit: 10,
        description: 'How long a member had been silent when the nodes that ping it began to avoid it, half and 90 % of them. 1 to 3 s are usual; there is a line only where something failed.',
        queries: [query(quantile(0.5, 'dht_failure_detector_detection_duration_seconds'), 'half'), query(quantile(0.9, 'dht_failure_detector_detection_duration_seconds'), '90 %')],
      }),
      lines({
        title: 'Suspected, refuted, down', unit: 'short',
        description: 'What happened to members in the view of the node that saw most. refuted: it lived after all; more than half of the suspicions refuted: slow nodes or a bad network.',
        queries: [
          query(`max by (job) (${happened('dht_failure_detector_suspicions_total')})`, '{{job}}: suspected'),
          query(`max by (job) (${happened('dht_failure_detector_refutations_total')})`, '{{job}}: refuted'),
          query(`max by (job) (${happened('dht_failure_detector_down_total')})`, '{{job}}: down'),
        ],
      }),
      lines({
        title: 'Distrust of itself', unit: 'short', top: 8,
        description: 'How much each node doubts its own measurements, 0 to 8, because its timers were late or it was suspected wrongly. Above 0 for long: too little CPU; it then finds failures later.',
        queries: [query(`max by (instance) (${of('dht_failure_detector_local_health_score')})`, '{{instance}}')],
      }),
      lines({
        title: 'Membership messages', unit: 'ops',
        description: 'Messages of membership that the nodes sent, by kind. Pings are steady, about two a second for each neighbour; many layout messages for long: the voters do not come to an end.',
        queries: [query(`sum by (type) (${rate('dht_gossip_messages_total', 'direction="out"')}) > 0`, '{{type}}')],
      }),
      lines({
        title: 'Membership traffic', unit: 'binBps',
        description: 'Bytes of membership messages that each node sent. Some KiB/s; it rises with news and with the size of layouts that are told, and stays high only while members come and go.',
        queries: [query(`sum by (instance) (${rate('dht_gossip_bytes_total', 'direction="out"')})`, '{{instance}}')],
      }),
      lines({
        title: 'News waiting to be told', unit: 'short',
        description: 'Pieces of news about members that each node still has to pass on. Zero within seconds of an event; never back at zero: members come and go all the time.',
        queries: [query(`max by (instance) (${of('dht_gossip_queue_messages')})`, '{{instance}}')],
      }),
      lines({
        title: 'Look-ups of names', unit: 'short',
        description: 'Names of peers that were looked up. nxdomain: the name is gone, as that of a deleted pod. timeout, error: the DNS of the cluster; nodes go on with open connections.',
        queries: [query(`sum by (result) (${happened('dht_peer_dns_lookups_total')})`, '{{result}}')],
      }),
      lines({
        title: 'Suspicion of single members', unit: 'short', top: 2,
        description: 'Needs metrics.perPeer. 0 trusted, up to 1 by missed pings, 1 suspect, 2 down; the highest of all nodes, by the node id of the member, which dht_node_info gives a name.',
        queries: [query(`max by (peer) (${of('dht_peer_suspicion_level')})`, '{{peer}}')],
      }),
      lines({
        title: 'Silence of single members', unit: 's',
        description: 'Needs metrics.perPeer. Time since any node last heard from a member itself, by node id. Members are pinged twice a second by their neighbours: more than a few seconds, and it is cut off or dead.',
        queries: [query(`time() - max by (peer) (${of('dht_peer_last_contact_timestamp_seconds')})`, '{{peer}}')],
      }),
    ],
  };
}

function peers(): Row {
  return {
    title: 'Talk between nodes',
    panels: [
      lines({
        title: 'Calls by result', unit: 'ops',
        description: 'Calls of nodes to nodes. timeout: the other one is slow or gone; refused: it answered that it would not, mostly because of another layout, and the caller asks again.',
        queries: [query(`sum by (result) (${rate('dht_peer_requests_total')})`, '{{result}}')],
      }),
      lines({
        title: 'Duration of calls, 99th percentile', unit: 's',
        description: 'By kind of call. Those that write wait for the disk of the other node; if read and ping are slow as well, it is the network or a busy event loop.',
        queries: [query(`${quantile(0.99, 'dht_peer_request_duration_seconds', ['op'])} >= 0`, '{{op}}')],
      }),
      lines({
        title: 'Bytes between nodes', unit: 'binBps',
        description: 'Bytes that each node sends to others. What exceeds twice the bytes that clients write is moves and repair.',
        queries: [query(`sum by (instance) (${rate('dht_peer_bytes_total', 'direction="out"')})`, '{{instance}}')],
      }),
      lines({
        title: 'Connections', unit: 'short',
        description: 'Open connections of each node to others, both ways. It is bounded; steady growth would be a fault of the program.',
        queries: [query(`sum by (instance) (${of('dht_peer_connections')})`, '{{instance}}')],
      }),
      lines({
        title: 'Connection failures', unit: 'short',
        description: 'refused, timeout: the other node is down or a network policy is in the way. dns: its name does not resolve. tls: another cluster secret. stalled, reset: the network.',
        queries: [query(`sum by (reason) (${happened('dht_peer_connection_failures_total')})`, '{{reason}}')],
      }),
      lines({
        title: 'Frames not acted on', unit: 'short',
        description: 'expired: it came after its caller had given up, so the node has more to do than it can. late_reply: the same, seen by the caller. malformed: not the protocol, report it.',
        queries: [query(`sum by (reason) (${happened('dht_peer_dropped_frames_total')})`, '{{reason}}')],
      }),
      lines({
        title: 'Calls in flight', unit: 'short',
        description: 'Calls of each node that wait for an answer. Far more at one node than at the others: it, or the peers it asks, are slow.',
        queries: [query(`max by (instance) (${of('dht_peer_inflight_requests')})`, '{{instance}}')],
      }),
      lines({
        title: 'Peers turned away', unit: 'short',
        description: 'cluster_id: a node of another ring called, its seeds or a reused address are wrong. auth: a wrong secret. version: a program too old or too new.',
        queries: [query(`sum by (reason) (${happened('dht_peer_handshake_failures_total')})`, '{{reason}}')],
      }),
    ],
  };
}

function repair(): Row {
  return {
    title: 'Repair',
    panels: [
      lines({
        title: 'Copies of each object', unit: 'short',
        description: 'How many copies the present layout asks for: the replication factor, or the number of members if that is less. Below the replication factor: add nodes.',
        queries: [query(`min by (job) (${of('dht_replication_factor')})`, '{{job}}'), query(`min by (job, op) (${of('dht_replication_quorum')})`, '{{job}}: needed for a {{op}}')],
      }),
      lines({
        title: 'Writes by how they ended', unit: 'reqps',
        description: 'full: all replicas confirmed; quorum: some did not in time, repair knows. Much of it for long: a node is down or slow. not_applied: a condition failed, or it was refused. unknown for longer than a node takes to fail: look at members that are cut off.',
        queries: [query(`sum by (result) (${rate('dht_replication_writes_total')})`, '{{result}}')],
      }),
      lines({
        title: 'Objects lacking replicas', unit: 'short',
        description: 'Objects known to have fewer copies than wanted. It rises when a node is away and falls after its return; flat for half an hour with all nodes up: look at the comparisons and at the disk space.',
        queries: [query(`sum by (instance) (${of('dht_replication_under_replicated_objects')})`, '{{instance}}')],
      }),
      lines({
        title: 'Hints kept', unit: 'short',
        description: 'Names of writes that an absent node missed, kept by the nodes that coordinated them and told once it is back. High for long: bring that node back.',
        queries: [query(`sum by (instance) (${of('dht_hints_queued')})`, '{{instance}}')],
      }),
      lines({
        title: 'Oldest hint', unit: 's', limit: 3600,
        description: 'Age of the oldest write that an absent node has not been told. Above an hour: bring that node back, or let it go for good.',
        queries: [query(`max by (instance) (time() - ${of('dht_hints_oldest_timestamp_seconds')})`, '{{instance}}')],
      }),
      lines({
        title: 'Hints told and given up', unit: 'short',
        description: 'Given up for lack of room or by age: nothing is lost, the next comparison finds what they were about, only later.',
        queries: [
          query(`sum(${happened('dht_hints_replayed_total')})`, 'told'),
          query(`sum by (reason) (${happened('dht_hints_dropped_total')})`, 'given up: {{reason}}'),
        ],
      }),
      lines({
        title: 'Waiting to be fetched', unit: 'short',
        description: 'Single records and bodies that a node knows it lacks and fetches next. It falls once their holders are up; flat: see the oldest of them and the failures.',
        queries: [query(`sum by (instance) (${of('dht_resync_pending')})`, '{{instance}}')],
      }),
      lines({
        title: 'Oldest unrepaired', unit: 's', limit: 3600,
        description: 'How long the oldest of them has waited. Above an hour with all nodes up: its holders have rotten bytes or no disk space; the node\'s log names the object.',
        queries: [query(`max by (instance) (${of('dht_resync_oldest_seconds')})`, '{{instance}}')],
      }),
      lines({
        title: 'Repaired', unit: 'short',
        description: 'Differences between replicas that were set right, by how they were found. After a node was away much of it is normal; without reason for long, a node keeps missing writes.',
        queries: [
          query(`sum(${happened('dht_anti_entropy_repaired_objects_total')})`, 'comparison'),
          query(`sum(${happened('dht_read_repairs_total', 'result="ok"')})`, 'read'),
          query(`sum by (cause) (${happened('dht_resync_attempts_total', 'result="ok"')})`, 'single: {{cause}}'),
        ],
      }),
      lines({
        title: 'Repairs that failed', unit: 'short',
        description: 'They are tried again. Steady failures with all nodes up: a disk that cannot be read or is full.',
        queries: [
          query(`sum(${happened('dht_anti_entropy_runs_total', 'result="failed"')})`, 'comparison'),
          query(`sum(${happened('dht_read_repairs_total', 'result="failed"')})`, 'read'),
          query(`sum by (cause) (${happened('dht_resync_attempts_total', 'result="failed"')})`, 'single: {{cause}}'),
        ],
      }),
      lines({
        title: 'Since the last full comparison', unit: 's', limit: 86_400,
        description: 'How long ago each node last compared all it holds with all other replicas. Above a day: a replica is away, or comparing cannot keep up.',
        queries: [query(`max by (instance) (time() - ${of('dht_anti_entropy_last_success_timestamp_seconds')})`, '{{instance}}')],
      }),
      lines({
        title: 'Duration of comparisons, 90th percentile', unit: 's',
        description: 'Time that a comparison with one other replica took. It grows with the differences found, hardly with the number of objects; minutes without differences: a busy disk or network.',
        queries: [query(quantile(0.9, 'dht_anti_entropy_run_duration_seconds', ['instance']), '{{instance}}')],
      }),
    ],
  };
}

function moves(): Row {
  return {
    title: 'Moves',
    panels: [
      stat({
        title: 'Moving', unit: 'short', steps: [[null, 'green'], [1, 'blue']], words: { 0: 'no', 1: 'yes' },
        description: 'Whether data moves because a node joins, leaves or was taken out. Start no other such change before it is no.',
        queries: [query(`max by (job) (${of('dht_rebalance_active')})`, '{{job}}')],
      }),
      stat({
        title: 'Time left', unit: 's', steps: [[null, 'green'], [1, 'blue'], [86_400, 'orange']],
        description: 'Until the last node has caught up, by its own estimate from what it has done so far; none in the first moments of a move. Days, or growing: a member of the new replica sets is down or full, or clients leave no room.',
        queries: [query(`max by (job) (${of('dht_rebalance_remaining_seconds')})`, '{{job}}')],
      }),
      stat({
        title: 'Bytes to move', unit: 'bytes', steps: [[null, 'green'], [1, 'blue']],
        description: 'Bytes of bodies still to be copied, estimated from what was copied so far. It falls; see bytes moved below for how fast.',
        queries: [query(`sum by (job) (${of('dht_rebalance_pending_bytes')})`, '{{job}}')],
      }),
      stat({
        title: 'Objects to let go', unit: 'short', steps: [[null, 'green'], [1, 'blue']],
        description: 'Records that former replicas keep until all new ones have given receipts. It falls; stuck for half an hour: a member of the new replica sets is down or full.',
        queries: [query(`sum by (job) (${of('dht_rebalance_pending_objects')})`, '{{job}}')],
      }),
      lines({
        title: 'Parts of the ring to catch up, by node', unit: 'short',
        description: 'Arcs that each node still has to copy from their former replicas. One node that does not fall while the others did: look at its disk space and its log.',
        queries: [query(`max by (instance) (${of('dht_rebalance_pending_arcs')})`, '{{instance}}')],
      }),
      lines({
        title: 'Objects to let go, by node', unit: 'short',
        description: 'Records that each former replica keeps until all new ones have given receipts. One node that does not fall while the others did: look at its disk space and its log.',
        queries: [query(`sum by (instance) (${of('dht_rebalance_pending_objects')})`, '{{instance}}')],
      }),
      lines({
        title: 'Bytes moved', unit: 'binBps',
        description: 'Bytes of bodies that each node pulls (in) and gives to others (out, without large bodies), by moves and by repair. It is held back while clients wait longer than usual.',
        queries: [query(`sum by (instance, direction) (${rate('dht_rebalance_transferred_bytes_total')})`, '{{instance}} {{direction}}')],
      }),
      lines({
        title: 'Parts of the ring copied', unit: 'short',
        description: 'Arcs that moves copied, and attempts that failed and are repeated. Only failures: too few of the former replicas answer, or this node has no space.',
        queries: [query(`sum by (result) (${happened('dht_rebalance_transfers_total')})`, '{{result}}')],
      }),
      lines({
        title: 'Rate limit of background copies', unit: 'binBps',
        description: 'What moves and repair may take at each node now: halved while the 99th percentile of clients is twice the usual, up again when it is calm.',
        queries: [query(`min by (instance) (${of('dht_repair_rate_limit_bytes_per_second')})`, '{{instance}}')],
      }),
    ],
  };
}
