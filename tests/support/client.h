// tests/support/client.h: two clients for black-box tests, which give the same resp::Reply.
//
// HiredisClient is what most of the world uses, and speaks RESP2 only. Client is our own: RESP2 or RESP3, raw
// bytes, pushes. Both block, for a minute at most, and throw std::runtime_error when the connection fails.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply_parser.h"
#include "tests/support/server_process.h"

struct redisContext;

namespace support {

using Command = std::vector<std::string>;

class HiredisClient {
 public:
  explicit HiredisClient(const ServerProcess& server);  // Over TCP.
  ~HiredisClient();
  HiredisClient(const HiredisClient&) = delete;
  HiredisClient& operator=(const HiredisClient&) = delete;

  resp::Reply command(const Command& words);
  // All are sent before the first reply is read.
  std::vector<resp::Reply> pipeline(const std::vector<Command>& commands);

 private:
  void append(const Command& words);
  resp::Reply read();

  redisContext* context_;
};

class Client {
 public:
  static Client over_tcp(const ServerProcess& server);
  static Client over_unix_socket(const ServerProcess& server);
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;

  // Sends and reads the reply. Pushes that come before it are kept for read_push().
  resp::Reply command(const Command& words);
  void send(const Command& words) { send_raw(encode(words)); }
  void send_raw(std::string_view bytes);
  resp::Reply read();
  resp::Reply read_push();  // The oldest push; waits for one.

  // True once the server has closed its side and everything sent before has been read.
  bool closed_by_server();
  void shutdown_writing();

  static std::string encode(const Command& words);

 private:
  explicit Client(int fd) : fd_(fd) {}
  bool fill();
  resp::Reply read_any();

  int fd_;
  std::unique_ptr<resp::InputBuffer> in_ = std::make_unique<resp::InputBuffer>();
  resp::ReplyParser parser_;
  std::vector<resp::Reply> pushes_;
};

}  // namespace support
