#include "replication/protocol.h"

#include <doctest/doctest.h>

#include "engine/sim.h"
#include "tests/support/seeds.h"

using namespace replication;

namespace {

History history_of(std::vector<Epoch> epochs) {
  History history;
  for (const Epoch& epoch : epochs) history.begin(epoch.id, epoch.begin);
  return history;
}

// Decodes a payload that a hostile peer may have sealed himself, from memory of just its size. What it is
// read as is written and read again as the same.
template <class Message>
bool is_taken_or_refused(std::string_view payload) {
  const std::vector<char> alone(payload.begin(), payload.end());
  Message message;
  if (!decode(std::string_view(alone.data(), alone.size()), &message)) return true;
  const std::string again = encode(message).substr(kMessageHeaderBytes);
  Message same;
  return decode(again, &same) && encode(same).substr(kMessageHeaderBytes) == again;
}

}  // namespace

TEST_SUITE("replication/history") {
  TEST_CASE("two logs are the same up to where one enters an epoch that the other does not have") {
    const History a = history_of({{"A", 0}});
    const History ab = history_of({{"A", 0}, {"B", 500}});
    const History ac = history_of({{"A", 0}, {"C", 520}});
    const History x = history_of({{"X", 0}});
    CHECK(common_end(a, 300, a, 400) == 300);
    CHECK(common_end(a, 300, ab, 900) == 300);
    CHECK(common_end(a, 520, ab, 900) == 500);
    CHECK(common_end(ab, 900, ac, 700) == 500);
    CHECK(common_end(ab, 900, ab, 800) == 800);
    CHECK(!common_end(a, 300, x, 300));
    CHECK(!common_end(History(), 0, a, 300));
  }

  TEST_CASE("a long history forgets its beginning, and what it says survives its own bytes") {
    History history;
    for (int i = 0; i < 200; ++i) history.begin("epoch" + std::to_string(i), static_cast<Lsn>(i) * 10);
    CHECK(history.epochs().size() == History::kEpochsMax);
    CHECK(History::decode(history.encode()) == history);
    const std::string bytes = history.encode();
    for (size_t cut = 0; cut < bytes.size(); ++cut) CHECK(!History::decode(bytes.substr(0, cut)));
  }
}

TEST_SUITE("replication/protocol") {
  TEST_CASE("messages come out as they went in, however the bytes are cut") {
    Hello hello;
    hello.history = history_of({{"A", 0}, {"B", 500}});
    hello.lsn = 12345678901;
    hello.run_id = "run";
    hello.port = 7000;
    CheckpointOffer offer{1, hello.history, 77, 5, 9, std::string(3000, 's')};
    const std::string bytes =
        encode(hello) + encode(offer) + encode(Published{"channel", "text", true}) + encode(Ack{5, 4, true});
    engine::SimEntropy dice(3);
    for (int round = 0; round < 50; ++round) {
      MessageReader reader;
      std::vector<MessageType> types;
      for (size_t at = 0; at < bytes.size();) {
        const size_t n = std::min(bytes.size() - at, 1 + dice.below(700));
        reader.add(std::string_view(bytes).substr(at, n));
        at += n;
        while (reader.next() == MessageReader::Outcome::kMessage) {
          types.push_back(reader.type());
          if (reader.type() == MessageType::kHello) {
            Hello got;
            REQUIRE(decode(reader.payload(), &got));
            CHECK((got.history == hello.history && got.lsn == hello.lsn && got.port == 7000));
          }
          if (reader.type() == MessageType::kCheckpoint) {
            CheckpointOffer got;
            REQUIRE(decode(reader.payload(), &got));
            CHECK((got.common == offer.common && got.state == offer.state && got.whole_at == 9));
          }
        }
      }
      CHECK(types == std::vector<MessageType>{MessageType::kHello, MessageType::kCheckpoint,
                                              MessageType::kMessage, MessageType::kAck});
    }
  }

  TEST_CASE("a message with any bit flipped is damage, or waits for more; it is never another message") {
    const std::string bytes = encode(Ack{500, 400, true});
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      CAPTURE(bit);
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      MessageReader reader;
      reader.add(damaged);
      CHECK(reader.next() != MessageReader::Outcome::kMessage);
    }
  }

  TEST_CASE("whatever a payload holds, it is refused or read as a message, and within its bytes") {
    // A checksum keeps out accidents, not a peer who means harm.
    Hello hello;
    hello.history = history_of({{"A", 0}, {"B", 500}});
    hello.run_id = "run";
    const std::vector<std::string> whole = {encode(hello),
                                            encode(Refused{true, "why"}),
                                            encode(Continue{1, hello.history, 300}),
                                            encode(Diverged{1, 300}),
                                            encode(CheckpointOffer{1, hello.history, 77, 5, 9, "state"}),
                                            encode(Wanted{{1, 2, 300}}),
                                            encode(FilePart{7, "data"}),
                                            encode(engine::LogChunk{}),
                                            encode(Heartbeat{5, 6}),
                                            encode(Published{"channel", "text", true}),
                                            encode(Ack{500, 400, true}),
                                            encode(Wish{1000}),
                                            encode(Event{4, 15, "del", "key"})};
    const auto [first, last] = support::seeds(1, 3);
    for (uint64_t seed = first; seed <= last; ++seed) {
      CAPTURE(seed);
      engine::SimEntropy dice(seed);
      for (int round = 0; round < 4000; ++round) {
        std::string payload = whole[dice.below(whole.size())].substr(kMessageHeaderBytes);
        for (uint64_t edits = dice.below(4); edits > 0 && !payload.empty(); --edits) {
          const size_t at = dice.below(payload.size());
          switch (dice.below(5)) {
            case 0: payload.resize(at); break;
            case 1: payload[at] = static_cast<char>(dice.next()); break;
            case 2:
              payload.insert(at, std::string(1 + dice.below(9), '\xff'));
              break;  // A length beyond all.
            case 3: payload.insert(at, payload.substr(dice.below(payload.size()))); break;
            default: payload[at] = static_cast<char>(payload[at] ^ (1 << dice.below(8)));
          }
        }
        CAPTURE(round);
        CHECK(is_taken_or_refused<Hello>(payload));
        CHECK(is_taken_or_refused<Refused>(payload));
        CHECK(is_taken_or_refused<Continue>(payload));
        CHECK(is_taken_or_refused<Diverged>(payload));
        CHECK(is_taken_or_refused<CheckpointOffer>(payload));
        CHECK(is_taken_or_refused<Wanted>(payload));
        CHECK(is_taken_or_refused<FilePart>(payload));
        CHECK(is_taken_or_refused<engine::LogChunk>(payload));
        CHECK(is_taken_or_refused<Heartbeat>(payload));
        CHECK(is_taken_or_refused<Published>(payload));
        CHECK(is_taken_or_refused<Ack>(payload));
        CHECK(is_taken_or_refused<Wish>(payload));
        CHECK(is_taken_or_refused<Event>(payload));
      }
    }
  }

  TEST_CASE("a greeting of a version that is not spoken here is read as far as it has to be") {
    Hello future;
    future.version_min = 7;
    future.version_max = 9;
    MessageReader reader;
    reader.add(encode(future));
    REQUIRE(reader.next() == MessageReader::Outcome::kMessage);
    Hello got;
    REQUIRE(decode(reader.payload(), &got));
    CHECK((got.version_min == 7 && got.version_max == 9));
  }
}
