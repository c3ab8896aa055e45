/** `dht / Overview`: is everything all right, in one look; and what clients see. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { canaryRow } from './canary-row.ts';
import { dashboard, type Row } from './dashboard.ts';
import { NONE_IS_GOOD, ONE_IS_GOOD, heat, lines, stat } from './panels.ts';
import { buckets, happened, nodesUp, of, ofNodes, quantile, query, rate } from './queries.ts';

export function overviewDashboard(): Dashboard {
  return dashboard({
    uid: 'dht-overview',
    title: 'dht / Overview',
    description: 'Whether the ring is whole and what clients see of it. Everything green in the first row: nothing to do.',
    rows: [verdict(), canaryRow(), requests(), refusals()],
  });
}

const FAILED = 'code=~"5.."';
const failedIn = (window: string): string => `sum(increase(${of('dht_gateway_requests_total', FAILED)}[${window}]))`;
const answeredIn = (window: string): string => `sum(increase(${of('dht_gateway_requests_total')}[${window}]))`;

function verdict(): Row {
  return {
    title: 'Verdict',
    panels: [
      stat({
        title: 'Everything safe', unit: 'short', steps: [[null, 'orange'], [1, 'green']], words: { 0: 'no', 1: 'yes' },
        description: 'Whether every object has all its copies and every replica is up, by the judgement of the most pessimistic node. no: the figures beside it say what is missing, and dht status says it in words. Nothing is lost yet; do not take another node away.',
        queries: [query(`min by (job) (${of('dht_ring_safe')})`, '{{job}}')],
      }),
      stat({
        title: 'Nodes up', unit: 'short',
        description: 'Nodes that Prometheus reaches, of those the ring knows as members. Fewer up than members: see which pod is missing or whose admin port is closed.',
        queries: [query(nodesUp(), 'up'), query(`max by (job) (sum by (job, instance) (${of('dht_ring_members')}))`, 'members')],
      }),
      stat({
        title: 'Nodes missing', unit: 'short', steps: [[null, 'green'], [1, 'orange'], [2, 'red']],
        description: 'Members of the ring that Prometheus does not reach. One of three may be away without harm; with two away writes stop. Start them again; a node whose disk is lost for good is replaced by an empty one under the same name.',
        queries: [query(`max by (job) (sum by (job, instance) (${of('dht_ring_members')})) - on (job) ${nodesUp()}`, '{{job}}')],
      }),
      stat({
        title: 'Rings', unit: 'short', steps: ONE_IS_GOOD,
        description: 'Rings among the nodes of a job; 1 is right. More: nodes of one installation founded rings of their own and do not see each other\'s objects. Stop writing before anything else, and compare the clusterId of dht status at each node.',
        queries: [query(`count by (job) (count by (job, cluster_id) (${of('dht_node_info')} == 1))`, '{{job}}')],
      }),
      stat({
        title: 'Views of the ring', unit: 'short', steps: ONE_IS_GOOD,
        description: 'How many different layouts the nodes hold at this moment; 1 is right. More for some seconds is a change on its way; for minutes, some nodes cannot reach others: see connection failures in dht / Ring.',
        queries: [query(`count by (job) (count_values by (job) ("epoch", ${of('dht_ring_epoch')}))`, '{{job}}')],
      }),
      stat({
        title: 'Ranges without a quorum', unit: 'short', steps: NONE_IS_GOOD('red'),
        description: 'Parts of the ring whose names can be neither written nor surely read, because a majority of their replicas is down. Bring the missing nodes back before anything else.',
        queries: [query(`max by (job) (${of('dht_ring_ranges', 'status="unavailable"')})`, '{{job}}')],
      }),
      stat({
        title: 'Ranges lacking a replica', unit: 'short', steps: NONE_IS_GOOD('orange'),
        description: 'Parts of the ring that work, with one replica down. Do not take another node away before this is 0.',
        queries: [query(`max by (job) (${of('dht_ring_ranges', 'status="degraded"')})`, '{{job}}')],
      }),
      stat({
        title: 'Objects lacking replicas', unit: 'short', steps: NONE_IS_GOOD('orange'),
        description: 'Objects that the nodes know to have fewer copies than wanted; an object may be counted by several nodes. It falls to 0 by itself once all nodes are up: see row Repair of dht / Ring when it does not.',
        queries: [query(`sum by (job) (${of('dht_replication_under_replicated_objects')})`, '{{job}}')],
      }),
      stat({
        title: 'Oldest unrepaired', unit: 's', steps: [[null, 'green'], [600, 'orange'], [3600, 'red']],
        description: 'How long the object that has waited longest for its missing copy has waited. It returns to 0 by itself; above an hour with all nodes up, see row Repair of dht / Ring.',
        queries: [query(`max by (job) (${of('dht_resync_oldest_seconds')})`, '{{job}}')],
      }),
      stat({
        title: 'Time with too few copies', unit: 's', steps: [[null, 'green'], [1, 'yellow'], [3600, 'orange']],
        description: 'How long, within the shown time, the node that was worst off held something with fewer live copies than wanted. In that time one more lost disk would have been worse: if it adds up, ask why nodes are away.',
        queries: [query(`max by (job) (increase(${of('dht_time_below_replication_factor_seconds_total')}[$__range]))`, '{{job}}')],
      }),
      stat({
        title: 'Availability, 30 days', unit: 'percentunit', decimals: 3, steps: [[null, 'red'], [0.995, 'orange'], [0.999, 'green']],
        description: 'Share of requests that were not answered with 5xx, over the last 30 days or as long as Prometheus has data. The objective is 99.9 %: below it, put changes off and look for the cause in the error ratio.',
        queries: [query(`1 - ${failedIn('30d')} / (${answeredIn('30d')} > 0)`, 'available')],
      }),
      stat({
        title: 'Least disk space free', unit: 'percentunit', decimals: 1, steps: [[null, 'red'], [0.1, 'orange'], [0.2, 'green']],
        description: 'Free part of the fullest data volume. Below 10 % enlarge the volumes or add a node; a node whose volume is full refuses files but never loses one.',
        queries: [query(`min by (job) (${of('dht_storage_disk_available_bytes')} / ${of('dht_storage_disk_capacity_bytes')})`, '{{job}}')],
      }),
      stat({
        title: 'Moving data', unit: 'short', steps: [[null, 'green'], [1, 'blue']], words: { 0: 'no', 1: 'yes' },
        description: 'Whether data moves because a node joins, leaves or was taken out. Wait until it is no before the next such change. How long it takes: row Moves of dht / Ring.',
        queries: [query(`max by (job) (${of('dht_rebalance_active')})`, '{{job}}')],
      }),
      stat({
        title: 'Versions running', unit: 'short', width: 8,
        description: 'Nodes by the version of their program. More than one outside an update: the update has stopped half-way.',
        queries: [query(`count by (version) (${ofNodes(of('dht_build_info'))})`, '{{version}}')],
      }),
    ],
  };
}

function requests(): Row {
  return {
    title: 'Requests',
    panels: [
      lines({
        title: 'Requests by method and answer', unit: 'reqps', isStacked: true,
        description: 'Requests a second, by method and class of status. 5xx: the ring could not do it; 4xx: the client asked for something impossible, 404 included.',
        queries: [query(`sum by (method, class) (label_replace(${rate('dht_gateway_requests_total', 'method!="other"')}, "class", "\${1}xx", "code", "(.).."))`, '{{method}} {{class}}')],
      }),
      lines({
        title: 'Error ratio', unit: 'percentunit', limit: 0.001, decimals: 3,
        description: 'Share of requests answered with 5xx. The line is the objective of 0.1 %. Above it: look at ranges without a quorum, at nodes missing, and at refusals below.',
        queries: [query(`sum by (job) (${rate('dht_gateway_requests_total', FAILED)}) / (sum by (job) (${rate('dht_gateway_requests_total')}) > 0)`, '{{job}}')],
      }),
      lines({
        title: 'Duration', unit: 's', limit: 1,
        description: 'Time from the head of a request to the end of its answer. A high 99th percentile with a calm median: one slow node, see dht / Node; both high: load, or slow disks.',
        queries: [0.5, 0.95, 0.99].map((q) => query(quantile(q, 'dht_gateway_request_duration_seconds'), `p${q * 100}`)),
      }),
      lines({
        title: 'Duration by method, 99th percentile', unit: 's', limit: 1,
        description: 'Writes wait for the disks of two replicas, reads mostly for none. Slow writes alone: look at the time of syncs in dht / Node. Bodies of megabytes take as long as the client takes.',
        queries: [query(quantile(0.99, 'dht_gateway_request_duration_seconds', ['method', 'route'], 'method!="other"'), '{{method}} {{route}}')],
      }),
      heat({
        title: 'Durations', unit: 's',
        description: 'How many requests took how long. Two bands: two kinds of requests, or a part of the nodes that is slower than the rest.',
        queries: [query(buckets('dht_gateway_request_duration_seconds'), '{{le}}')],
      }),
      lines({
        title: 'Bytes', unit: 'binBps',
        description: 'Bytes of objects taken from clients and given to them. Each byte taken crosses the network between the nodes twice more, for the other two replicas.',
        queries: [query(`sum(${rate('dht_gateway_received_bytes_total')})`, 'in'), query(`sum(${rate('dht_gateway_sent_bytes_total')})`, 'out')],
      }),
      lines({
        title: 'Sizes', unit: 'bytes',
        description: 'Median and 99th percentile of the sizes of files put, and of objects or ranges got. Durations follow the sizes: look here before blaming a disk.',
        queries: [
          ...[0.5, 0.99].map((q) => query(quantile(q, 'dht_gateway_request_size_bytes'), `put p${q * 100}`)),
          ...[0.5, 0.99].map((q) => query(quantile(q, 'dht_gateway_response_size_bytes'), `get p${q * 100}`)),
        ],
      }),
    ],
  };
}

function refusals(): Row {
  return {
    title: 'Load and refusals',
    panels: [
      lines({
        title: 'In flight', unit: 'short',
        description: 'Requests being served, by node. One node far above the others: the load balancer does not spread, or that node is slow.',
        queries: [query(`sum by (instance) (${of('dht_gateway_inflight_requests')})`, '{{instance}}')],
      }),
      lines({
        title: 'Too few replicas answered', unit: 'reqps',
        description: 'Requests answered 503 because too few replicas answered, or because none could tell whether a write was applied. For a moment while a node dies; longer: bring back the members that are down.',
        queries: [query(`sum by (op) (${rate('dht_gateway_quorum_failures_total')})`, '{{op}}')],
      }),
      lines({
        title: 'Refused before any work', unit: 'reqps',
        description: 'overload: more at once than the limits allow, add nodes or slow the clients down. not_ready: the node was starting or leaving. too_large, unauthorized: the client\'s mistake.',
        queries: [query(`sum by (reason) (${rate('dht_gateway_rejected_requests_total')})`, '{{reason}}')],
      }),
      lines({
        title: 'Requests by token', unit: 'reqps', isStacked: true,
        description: 'Requests let in, by the name of their token: who makes the load. Empty when the gateway asks for no tokens (gateway.auth).',
        queries: [query(`sum by (token) (${rate('dht_gateway_token_requests_total')})`, '{{token}}')],
      }),
      lines({
        title: 'Rounds begun again', unit: 'ops',
        description: 'Rounds with the replicas that were repeated: several writers of one name at once, or a layout that changed meanwhile. Clients only see it as time. Steadily high without changes: clients write the same names against each other.',
        queries: [query(`sum by (op) (${rate('dht_gateway_replica_retries_total')})`, '{{op}}')],
      }),
      lines({
        title: 'Bodies that broke off', unit: 'short',
        description: 'Uploads and downloads that ended early: the client left, made no progress, or no replica could give the rest. Nothing of such an upload is visible. Rising downloads: look for corruption in dht / Node.',
        queries: [query(`sum by (transfer) (${happened('dht_gateway_aborted_transfers_total')})`, '{{transfer}}')],
      }),
    ],
  };
}
