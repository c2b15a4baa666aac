// server/info_engine.h: INFO's section Engine: what the LSM-tree under the commands does.
//
// Threads: the reactor.
#pragma once

#include "server/info_text.h"

namespace server {

class Server;
void info_engine(Server& server, InfoText& out);

}  // namespace server
