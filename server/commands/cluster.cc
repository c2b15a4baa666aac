// server/commands/cluster.cc: what a Redis that is no part of a cluster answers to the commands of clusters.
#include "server/bindings.h"
#include "server/command.h"

namespace server {
namespace {

void no_cluster(CommandContext& c) { c.reply.error("ERR This instance has cluster support disabled"); }

constexpr Binding kBindings[] = {{"asking", &no_cluster},
                                 {"cluster|addslots", &no_cluster},
                                 {"cluster|addslotsrange", &no_cluster},
                                 {"cluster|bumpepoch", &no_cluster},
                                 {"cluster|count-failure-reports", &no_cluster},
                                 {"cluster|countkeysinslot", &no_cluster},
                                 {"cluster|delslots", &no_cluster},
                                 {"cluster|delslotsrange", &no_cluster},
                                 {"cluster|failover", &no_cluster},
                                 {"cluster|flushslots", &no_cluster},
                                 {"cluster|forget", &no_cluster},
                                 {"cluster|getkeysinslot", &no_cluster},
                                 {"cluster|help", &no_cluster},
                                 {"cluster|info", &no_cluster},
                                 {"cluster|keyslot", &no_cluster},
                                 {"cluster|links", &no_cluster},
                                 {"cluster|meet", &no_cluster},
                                 {"cluster|myid", &no_cluster},
                                 {"cluster|nodes", &no_cluster},
                                 {"cluster|replicas", &no_cluster},
                                 {"cluster|replicate", &no_cluster},
                                 {"cluster|reset", &no_cluster},
                                 {"cluster|saveconfig", &no_cluster},
                                 {"cluster|set-config-epoch", &no_cluster},
                                 {"cluster|setslot", &no_cluster},
                                 {"cluster|shards", &no_cluster},
                                 {"cluster|slaves", &no_cluster},
                                 {"cluster|slots", &no_cluster},
                                 {"readonly", &no_cluster},
                                 {"readwrite", &no_cluster}};

}  // namespace

void bind_cluster_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
