/** `dht help`. docs/command-line.md says the same at more length; a test holds the commands and exit codes together. */
export const HELP = `Usage: dht COMMAND [ARGUMENT...]

Nodes
  dht node [SETTING...]          start one node; dht node --help lists the settings
  dht dev [--nodes 5]            start a whole ring on this machine
      --port 7400 --http-port 8080 --admin-port 9464   the first port of each kind
      --data-dir ./data          where data, secret and logs go
      -- SETTING...              more settings for every node

Objects
  dht put FILE... [--name NAME]  store files, each under its base name or one under NAME
      -r DIR                     store all files below DIR as DIR/...
  dht get NAME [-o FILE]         save an object under its name below the current directory, or as FILE ("-": print it)
      -r PREFIX                  save all objects whose names begin with PREFIX
  dht ls [PREFIX]                list objects whose names begin with PREFIX
      --delimiter /              show names with a slash behind PREFIX as one line for each directory
  dht rm NAME...                 remove objects

Ring
  dht status                     the ring as one node sees it
  dht explain NAME               where an object is, and why there
  dht join HOST:PORT...          let the node join a ring
  dht leave                      let the node hand everything over and end
  dht recover                    what giving up the nodes that are down for good would cost
      --accept-data-loss         and do it

Watching
  dht canary                     store, read back and verify objects all the time; publish what is lost, stale or corrupt
      --url URL...               gateways, in turn; repeat the flag
      --listen localhost --port 9465   where /metrics and /livez are served
      --objects 64 --rate 5 --size-max 262144   how many, turns a second, bytes of the largest
      --prefix canary/ --seed TEXT   names, and what their bytes follow from
      --timeout 10               seconds until an outcome counts as unknown
      --clean                    remove the objects below the prefix, and end

  dht completion bash|zsh|fish   a script that completes commands and flags
  dht help, dht version

Everywhere
  --json                         print JSON
  --url URL                      the gateway (DHT_URL, http://localhost:8080)
  --admin-url URL                the admin port (DHT_ADMIN_URL, http://localhost:9464)
  --token TOKEN                  the gateway's token (DHT_TOKEN)
  --cluster-secret-file FILE     gives the admin token off loopback (DHT_CLUSTER_SECRET_FILE)

Exit codes
  0  done                        4  there is no such object
  1  error                       5  no node answered, or too few; nothing was changed
  2  wrong command or setting    6  a write may or may not have been applied
  3  a condition does not hold   70 the program met an error of its own
`;
