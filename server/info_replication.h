// server/info_replication.h: INFO's section on replication.
#pragma once

namespace server {

class InfoText;
class Server;

void section_replication(Server& server, InfoText& out);

}  // namespace server
