/** `dht / Node`: the store, the process and the pod of each node. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboard, type Row } from './dashboard.ts';
import { bars, heat, lines, stat } from './panels.ts';
import { buckets, happened, happenedInRange, of, ofNodes, quantile, query, rate } from './queries.ts';

export function nodeDashboard(): Dashboard {
  return dashboard({
    uid: 'dht-node',
    title: 'dht / Node',
    description: 'Each node by itself: its disk, its process, its pod. Choose instances above to compare some of them.',
    rows: [storage(), upkeep(), runtime(), kubernetes()],
  });
}

function storage(): Row {
  return {
    title: 'Storage',
    panels: [
      lines({
        title: 'Objects', unit: 'short',
        description: 'Live objects that each node holds a copy of. A node far below the others after a join: its move has not ended, see row Moves of dht / Ring.',
        queries: [query(`max by (instance) (${of('dht_storage_objects')})`, '{{instance}}')],
      }),
      lines({
        title: 'Bytes of objects', unit: 'bytes',
        description: 'Bytes of the bodies of those objects. Nodes differ by the part of the ring they hold; the files on disk are larger, see the log below.',
        queries: [query(`max by (instance) (${of('dht_storage_objects_bytes')})`, '{{instance}}')],
      }),
      lines({
        title: 'Tombstones', unit: 'short',
        description: 'Delete markers. Each stays for a day, and until all replicas hold it; more and more of them with few deletes: a replica is away.',
        queries: [query(`max by (instance) (${of('dht_storage_tombstones')})`, '{{instance}}')],
      }),
      bars({
        title: 'Disk used', unit: 'percentunit', min: 0, max: 1, decimals: 1, steps: [[null, 'green'], [0.85, 'yellow'], [0.92, 'orange'], [0.97, 'red']],
        description: 'Part of the data volume in use, by all that is on it. From 85 % the node warns, from 92 % it stages no new bodies, from 97 % it takes none at all; on large volumes not before less than 200, 100 and 40 GiB are free. Enlarge the volumes or add a node.',
        queries: [query(`max by (instance) (1 - ${of('dht_storage_disk_available_bytes')} / ${of('dht_storage_disk_capacity_bytes')})`, '{{instance}}')],
      }),
      lines({
        title: 'Disk space free', unit: 'bytes',
        description: 'Space that the node can still use, its reserve not counted. Falling on all nodes alike: data grows; on one alone: something else is on that volume.',
        queries: [query(`min by (instance) (${of('dht_storage_disk_available_bytes')})`, '{{instance}}')],
      }),
      lines({
        title: 'Refusing files', unit: 'bool_yes_no', top: 1,
        description: 'Nodes that take no new files, to protect their volume. Deletes still work. Make room or enlarge the volume; no restart is needed.',
        queries: [query(`max by (instance) (${of('dht_storage_read_only')})`, '{{instance}}')],
      }),
      lines({
        title: 'Sync of the log, 99th percentile', unit: 's', limit: 0.5,
        description: 'Time that the disk took to make a batch of writes durable: every write waits for the second fastest of three. Above 0.5 s the disk is the bottleneck; above 10 s the node ends itself so that others do its work.',
        queries: [query(quantile(0.99, 'dht_storage_operation_duration_seconds', ['instance'], 'op="fsync"'), '{{instance}}')],
      }),
      lines({
        title: 'Operations of the store', unit: 'ops',
        description: 'What coordinators ask of the chosen nodes, and syncs of their disks. Any error: the disk failed, is full, or gave back other bytes; see the node\'s log.',
        queries: [query(`sum by (op, result) (${rate('dht_storage_operations_total')})`, '{{op}} {{result}}')],
      }),
      lines({
        title: 'Duration of store operations, 99th percentile', unit: 's',
        description: 'Time until what the local store answers is durable, without waiting for other nodes. Writes far above syncs: the node has too much to do; reads far above others: the disk reads slowly.',
        queries: [query(quantile(0.99, 'dht_storage_operation_duration_seconds', ['instance', 'op']), '{{instance}} {{op}}')],
      }),
      lines({
        title: 'Space used by the store', unit: 'bytes',
        description: 'Bytes of the log, the checkpoint, large bodies and the ballast of each node. Far below what the volume has in use: something else is on it.',
        queries: [query(`max by (instance) (${of('dht_storage_disk_used_bytes')})`, '{{instance}}')],
      }),
      heat({
        title: 'Syncs of the log', unit: 's',
        description: 'How many syncs took how long, over all chosen nodes. A second band far up: one disk is slower than the others.',
        queries: [query(buckets('dht_storage_operation_duration_seconds', 'op="fsync"'), '{{le}}')],
      }),
      stat({
        title: 'Rotten bytes found', unit: 'short', width: 8, steps: [[null, 'green'], [1, 'red']],
        description: 'Stored bytes that were not what was written, in the shown time. The copy is healed from another replica by itself. More than one: replace that disk.',
        queries: [query(`sum by (instance) (${happenedInRange('dht_storage_corruptions_total')})`, '{{instance}}')],
      }),
      stat({
        title: 'Objects healed', unit: 'short', width: 8,
        description: 'Objects with rotten bytes that are whole again, brought from another replica, in the shown time. Fewer than were found: some wait for a replica that is away.',
        queries: [query(`sum by (instance) (${happenedInRange('dht_storage_healed_objects_total')})`, '{{instance}}')],
      }),
    ],
  };
}

function upkeep(): Row {
  return {
    title: 'Upkeep of the store',
    panels: [
      lines({
        title: 'Log', unit: 'bytes',
        description: 'The log on disk and what of it is in use. It is compacted when less than half is in use: three times as much for long means that the disk is too slow for it.',
        queries: [query(`max by (instance) (${of('dht_storage_log_bytes')})`, '{{instance}}'), query(`max by (instance) (${of('dht_storage_log_live_bytes')})`, '{{instance}} in use')],
      }),
      lines({
        title: 'Log since the last checkpoint', unit: 'bytes',
        description: 'What a start would have to read again. A checkpoint comes about each 256 MiB; more than twice that: checkpoints fail, look at the node\'s log.',
        queries: [query(`max by (instance) (${of('dht_storage_log_since_checkpoint_bytes')})`, '{{instance}}')],
      }),
      lines({
        title: 'Duration of the last checkpoint', unit: 's',
        description: 'How long the newest checkpoint took to write, pauses for clients included. Minutes on a node with few objects: its disk is too slow or too busy.',
        queries: [query(`max by (instance) (${of('dht_storage_checkpoint_duration_seconds')})`, '{{instance}}')],
      }),
      lines({
        title: 'Bytes compacted', unit: 'binBps',
        description: 'Live parts of the log copied so that old segments can go. It comes in bursts of at most 64 MiB/s; without an end, most of what is stored is soon replaced or deleted.',
        queries: [query(`sum by (instance) (${rate('dht_storage_compacted_bytes_total')})`, '{{instance}}')],
      }),
      lines({
        title: 'Since the last full scrub', unit: 's',
        description: 'How long ago all objects were last read and checked; since its start for a new node. A pass takes two weeks: above three, the disk is too busy or the node restarts too often.',
        queries: [query(`max by (instance) (time() - ${of('dht_storage_scrub_last_success_timestamp_seconds')})`, '{{instance}}')],
      }),
      lines({
        title: 'Scrubbed', unit: 'ops',
        description: 'Objects read and checked in the background, by what was found. corrupt: healed from another replica. error: the disk could not read it.',
        queries: [query(`sum by (result) (${rate('dht_storage_scrubbed_objects_total')})`, '{{result}}')],
      }),
      lines({
        title: 'Tombstones erased', unit: 'short',
        description: 'Delete markers forgotten, because they were a day old and all replicas held them alike. None for days while tombstones grow: a replica is away.',
        queries: [query(`sum by (instance) (${happened('dht_storage_tombstones_erased_total')})`, '{{instance}}')],
      }),
    ],
  };
}

function runtime(): Row {
  return {
    title: 'Process',
    panels: [
      lines({
        title: 'CPU', unit: 'percentunit',
        description: 'Cores in use. The program runs on one thread besides those for files: near 1 the node is at its limit, add nodes.',
        queries: [query(`max by (instance) (${ofNodes(rate('process_cpu_seconds_total'))})`, '{{instance}}')],
      }),
      lines({
        title: 'Memory', unit: 'bytes',
        description: 'Resident memory, and of it the heap of the program. Compare with the limit of the container; the index of objects grows with their number, not with their size.',
        queries: [query(`max by (instance) (${ofNodes(of('process_resident_memory_bytes'))})`, '{{instance}}'), query(`max by (instance) (${ofNodes(of('nodejs_heap_size_used_bytes'))})`, '{{instance}} heap')],
      }),
      lines({
        title: 'Delay of the event loop, 99th percentile', unit: 's', limit: 0.5,
        description: 'How late the program gets to its next piece of work. Above half a second others will suspect the node: too little CPU, or too much load.',
        queries: [query(`max by (instance) (${ofNodes(of('nodejs_eventloop_lag_p99_seconds'))})`, '{{instance}}')],
      }),
      lines({
        title: 'Delay of the event loop, median', unit: 's',
        description: 'The same for half of all pieces of work. About 10 ms is normal, the resolution of the measurement; more: the node has too little CPU all the time.',
        queries: [query(`max by (instance) (${ofNodes(of('nodejs_eventloop_lag_p50_seconds'))})`, '{{instance}}')],
      }),
      lines({
        title: 'Garbage collection', unit: 'percentunit',
        description: 'Part of the time that the program was stopped to collect garbage. Above a tenth: too little memory.',
        queries: [query(`sum by (instance) (${ofNodes(rate('nodejs_gc_duration_seconds_sum'))})`, '{{instance}}')],
      }),
      lines({
        title: 'File descriptors', unit: 'short',
        description: 'Open files and sockets, bounded by the limits on connections. Steady growth under steady load would be a leak: report it.',
        queries: [query(`max by (instance) (${ofNodes(of('process_open_fds'))})`, '{{instance}}')],
      }),
      lines({
        title: 'Uptime', unit: 's',
        description: 'Time since each process started. All of them short: an update or a drain; one again and again: look at its last log lines.',
        queries: [query(`max by (instance) (time() - ${ofNodes(of('process_start_time_seconds'))})`, '{{instance}}')],
      }),
    ],
  };
}

/** Series of kube-state-metrics and of the kubelet: their job and instance are those programs' own, so the job, which is the StatefulSet's name, chooses. */
function kubernetes(): Row {
  return {
    title: 'Kubernetes',
    panels: [
      lines({
        title: 'Pods wanted and ready', unit: 'short',
        description: 'Needs kube-state-metrics. Fewer ready than wanted for more than some minutes: kubectl describe the pod that is not.',
        queries: [
          query('max by (statefulset) (kube_statefulset_replicas{namespace=~"$namespace",statefulset=~"$job"})', '{{statefulset}} wanted'),
          query('max by (statefulset) (kube_statefulset_status_replicas_ready{namespace=~"$namespace",statefulset=~"$job"})', '{{statefulset}} ready'),
        ],
      }),
      lines({
        title: 'Restarts of containers', unit: 'short',
        description: 'Needs kube-state-metrics. A restart on its own is harmless; again and again: OOMKilled or a failing liveness probe, kubectl describe says which.',
        queries: [query('sum by (pod) (increase(kube_pod_container_status_restarts_total{namespace=~"$namespace",pod=~"($job)-[0-9]+"}[$__rate_interval]))', '{{pod}}')],
      }),
      lines({
        title: 'Memory of containers, of their limit', unit: 'percentunit', limit: 0.9, top: 1,
        description: 'Needs the kubelet\'s cAdvisor and kube-state-metrics. Near 1 the kernel ends the container: raise resources.limits.memory.',
        queries: [
          query(
            'max by (pod) (container_memory_working_set_bytes{namespace=~"$namespace",pod=~"($job)-[0-9]+",container!=""}) / on (pod) max by (pod) (kube_pod_container_resource_limits{namespace=~"$namespace",pod=~"($job)-[0-9]+",resource="memory"})',
            '{{pod}}',
          ),
        ],
      }),
      lines({
        title: 'Volumes used', unit: 'percentunit', limit: 0.85, top: 1,
        description: 'Needs the kubelet\'s volume metrics. The same as Disk used above, as Kubernetes sees it; also for a pod that is down. Near the line: enlarge the claims.',
        queries: [
          query(
            'max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes{namespace=~"$namespace",persistentvolumeclaim=~"data-($job)-[0-9]+"} / kubelet_volume_stats_capacity_bytes{namespace=~"$namespace",persistentvolumeclaim=~"data-($job)-[0-9]+"})',
            '{{persistentvolumeclaim}}',
          ),
        ],
      }),
      lines({
        title: 'Calls to the Kubernetes API', unit: 'ops',
        description: 'Calls of the nodes, by answer. 403: the role lacks a right. timeout, error: no way to the API server; nodes go on without it, but take a scale-down for a restart.',
        queries: [query(`sum by (resource, verb, code) (${rate('dht_kubernetes_requests_total')})`, '{{verb}} {{resource}}: {{code}}')],
      }),
      lines({
        title: 'Since the Kubernetes API answered', unit: 's',
        description: 'Time since the API last said how the StatefulSet stands, which a node asks about once a minute. Rising: the node can not tell a scale-down from a restart.',
        queries: [query(`max by (instance) (time() - (${of('dht_kubernetes_last_sync_timestamp_seconds', 'resource="statefulsets"')} > 0))`, '{{instance}}')],
      }),
    ],
  };
}
