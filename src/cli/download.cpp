#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <memory>
#include <string>

#include <curl/curl.h>

#include "cli/fetch.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

/// The few functions of libcurl that are used, from the library as it is installed.
struct Curl {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) init;
  decltype(&::curl_easy_setopt) setopt;
  decltype(&::curl_easy_perform) perform;
  decltype(&::curl_easy_getinfo) getinfo;
  decltype(&::curl_easy_strerror) strerror;
  decltype(&::curl_easy_cleanup) cleanup;
};

[[noreturn]] void no_curl(const char* reason) {
  throw Error(ExitCode::Disk, std::string("downloading needs libcurl: ") + (reason ? reason : ""),
              "apt install libcurl4, or put the files into the folder by hand");
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) no_curl(dlerror());
}

Curl load() {
  void* library = nullptr;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library) break;
  }
  if (!library) no_curl(dlerror());
  Curl curl{};
  find(library, "curl_global_init", curl.global_init);
  find(library, "curl_easy_init", curl.init);
  find(library, "curl_easy_setopt", curl.setopt);
  find(library, "curl_easy_perform", curl.perform);
  find(library, "curl_easy_getinfo", curl.getinfo);
  find(library, "curl_easy_strerror", curl.strerror);
  find(library, "curl_easy_cleanup", curl.cleanup);
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) no_curl("it does not initialise");
  return curl;
}

const Curl& curl() {
  static const Curl loaded = load();
  return loaded;
}

/// What the callbacks share. They are called from C: nothing may be thrown through it.
struct Transfer {
  std::FILE* file = nullptr;
  std::int64_t got = 0;
  std::int64_t most = 0;
  std::string name;
  const Meter* meter = nullptr;
  int write_error = 0;
  bool too_large = false;
  std::exception_ptr thrown;
};

std::size_t receive(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t length = size * count;
  transfer.got += static_cast<std::int64_t>(length);
  transfer.too_large = transfer.got > transfer.most;
  if (transfer.too_large) return 0;
  const std::size_t written = std::fwrite(bytes, 1, length, transfer.file);
  if (written != length) transfer.write_error = errno;
  return written;
}

int report(void* user, curl_off_t all, curl_off_t got, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    if (*transfer.meter) (*transfer.meter)(transfer.name, got, all);
    return 0;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 1;
  }
}

struct Closed {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct Cleaned {
  void operator()(CURL* handle) const { curl().cleanup(handle); }
};

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  if (curl().setopt(handle, option, value) != CURLE_OK) no_curl("an option that it does not know");
}

/// Only what is asked for and only the web where a server sends us on: a redirection to
/// file:///etc/passwd or to a mail server is an attack.
void restrict_protocols(CURL* handle) {
#if LIBCURL_VERSION_NUM >= 0x075500
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https,file");
  set(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  set(handle, CURLOPT_PROTOCOLS, long{CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE});
  set(handle, CURLOPT_REDIR_PROTOCOLS, long{CURLPROTO_HTTP | CURLPROTO_HTTPS});
#endif
}

void prepare(CURL* handle, const std::string& address, Transfer& transfer, char* message) {
  restrict_protocols(handle);
  set(handle, CURLOPT_URL, address.c_str());
  set(handle, CURLOPT_ERRORBUFFER, message);
  set(handle, CURLOPT_USERAGENT, "perturb/" PERTURB_VERSION);
  set(handle, CURLOPT_FOLLOWLOCATION, 1L);
  set(handle, CURLOPT_MAXREDIRS, 5L);
  set(handle, CURLOPT_FAILONERROR, 1L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_CONNECTTIMEOUT, 20L);
  // A transfer that stands still for half a minute is over.
  set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(handle, CURLOPT_LOW_SPEED_TIME, 30L);
  set(handle, CURLOPT_WRITEFUNCTION, &receive);
  set(handle, CURLOPT_WRITEDATA, &transfer);
  set(handle, CURLOPT_NOPROGRESS, 0L);
  set(handle, CURLOPT_XFERINFOFUNCTION, &report);
  set(handle, CURLOPT_XFERINFODATA, &transfer);
}

std::string reason(CURL* handle, CURLcode code, const char* message) {
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    long status = 0;
    curl().getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return "the server answered " + std::to_string(status) + (status == 404 ? " (not found)" : "");
  }
  return *message ? message : curl().strerror(code);
}

[[noreturn]] void fail_to_write(const fs::path& path, int error) {
  throw Error(ExitCode::Disk, "cannot write " + path.string() + ": " + std::strerror(error),
              "make room on the disk, or choose another folder with --to");
}

}  // namespace

std::string download(const std::string& address, const fs::path& to, std::int64_t most,
                     const Meter& meter) {
  const std::unique_ptr<CURL, Cleaned> handle(curl().init());
  if (!handle) throw std::bad_alloc();
  std::unique_ptr<std::FILE, Closed> file(std::fopen(to.c_str(), "wb"));
  if (!file) fail_to_write(to, errno);

  Transfer transfer;
  transfer.file = file.get();
  transfer.most = most;
  transfer.name = address.substr(address.rfind('/') + 1);
  transfer.meter = &meter;
  char message[CURL_ERROR_SIZE] = "";
  prepare(handle.get(), address, transfer, message);
  const CURLcode code = curl().perform(handle.get());

  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  const std::int64_t whole = code == CURLE_OK ? transfer.got : 0;
  if (meter) meter(transfer.name, whole, whole);
  if (transfer.write_error != 0) fail_to_write(to, transfer.write_error);
  if (transfer.too_large) {
    return "it is larger than the official file can be (" + std::to_string(most) + " bytes)";
  }
  if (code != CURLE_OK) return reason(handle.get(), code, message);
  // The last bytes may still be in the buffer, and no longer fit.
  if (std::fclose(file.release()) != 0) fail_to_write(to, errno);
  return "";
}

}  // namespace perturb
