#pragma once
#include "spool_watch.h"
