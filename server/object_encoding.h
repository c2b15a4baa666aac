// server/object_encoding.h: the names by which OBJECT ENCODING calls what Redis would use for a value.
//
// Threads: that of the view.
#pragma once

#include <string_view>

#include "server/view.h"

namespace server {

// Reads the value if that is needed to tell.
std::string_view object_encoding(View& view, const Header& header);

}  // namespace server
