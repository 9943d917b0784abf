#include "builtin/images.h"

#include <cstddef>
#include <string_view>

#include "doctest_torch.h"
#include "perturb/core/diagnostic.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// (1, 1, height, width) bytes; tests/reference/images.py has the same formula.
Tensor picture(std::int64_t height, std::int64_t width) {
  const auto i = at::arange(height, at::kLong).view({-1, 1});
  const auto j = at::arange(width, at::kLong);
  const auto values = 37 * i * i + 11 * j * (i + 3) + (i * j).remainder(7) * 29;
  return values.remainder(256).to(at::kByte).view({1, 1, height, width});
}

// What tests/reference/images.py printed: torchvision 0.14.1, PIL 9.4.
constexpr std::string_view k32To28 =
    "0d39556792bfc53148568294b6d924457189a4b5cc3e556293a9c5f046687e4e90ba5da3be4d89757d954a93"
    "ac83784974928e65ba726cca74648daece862a96974c6892af4d6ace6060726bd97e368cb6436ebb566c5faf"
    "af714a654c9bab6c9d6f4fe4a6a7b87092624493b06e8266785c8bbcaeb749862e6b5d6273576db7a8abbba5"
    "a6a07f57675753515267a98764a6b0d4427d5a3f8098ba5f967b607bb2da6271561a48882c98af8d6b8c5499"
    "b58f85725384ce7a97764f6bcf8f97726852bf8163aa526968938343a58aa252ad873a74709a4f8c6acc7557"
    "844c8b579a5d6dbe9d6552349471538ec08e4d24508d71484a98ab60469cc39276707f614251776620354657"
    "7a782a3b4a5d3f21a460bf796989c9de9761b77b3e948b9d6a505467c78f648369ba7e55a47f9c5b6e6079c4"
    "907899a1489d5d8c84897e7e6251bf8853979d71c47baf4c7e536c7c5760a87b93b56e5db18b569180565a9c"
    "5e8ebd7458b39b4269875bb07157502c9dd6d5bab58c61545f452357c6b6b89f7a77542f353aa7dd292e2550"
    "6b74b2c7b99231326968759dc9c77d363d5e8a84b0c3cde9c8a25f985f5a97ba42a98a6ba94e4fa68959a242"
    "4e81ac718b562a7f8b726b625852655d2f9aa4ba8cc68492907165597c7198ad7f53587083874e478e86b257"
    "3b548ad096996568d49a605d42e49e97ab515fb3c0a69e95cae8dea91c143d665e44384a8a81796258a8a59c"
    "947f6fb9cc5b84add67a92b97519416aaf495984ad7a5e96b63e5f896948719a8e8d4f58579361aabb727e71"
    "586b9c567f45a6789bb98f91715059ad5caa8ba4428d7eb45762788c80d683558fa8b747787cb355576c9477"
    "81d4ac723995aa5d67b07a4d32c1b24a91d1b67451b68b543a70894e8d778e955f4f644e626d3f243ba9ba71"
    "bb95ac9ca5b99a698177798f5d8fa6a09a547b9e7dc58e569e689ec7817b7578b692b46e69a082a66d657b58"
    "d19263ac54917a61b667ab8c809b8baea59f97ad4c87487b44804264b05a1d8f6cc28c3dab8d6fb4924587a6"
    "4fbf8992ad812b8fbfa374695d2f25cdafb18c62674ad1e3bb9690753661eadacfa96971";
constexpr std::string_view k9To20 =
    "000615233241505f6e7d8b9aa9b8c7d6e5932f08060e2031435554525f718294a7b9caccce8e412317223c55"
    "6f8a603238536c86a0bbd2b294806f682d37516b8eb06e2625415f81a1bbd0965e7092a05f58463d6892897d"
    "757081acc6b4a06e3e58839391793c104275a4d4c69ea4d7eaac70461e40738776736b6670798da0aab0bdd0"
    "cf965f3e1d48839a566a9fc4a280726488c0d4c7b07f50371f5194ae4e5d829b7b5a647196c3cdb49a795948"
    "385479884f4d473e31235d9bb5c1ba9e87796c635b534d4b6158402b2b2a6db3c3bcb09d908f8d7359555758"
    "847e6e61697094b9beb5b1b1b3babe78325997af908d858091a0b0bfb6a2a1b0c0cfda85306ecbf061616164"
    "7d94acc4a570627992a9bea58cb1e2f53337404c6c8ca9c695442a476585a5c2dfebf4f725304c6991b9ae9f"
    "8c7866575880a596889cb8c217295886b7e6b27884aba2674b7ba56b314d7c8e253b74a4b1be884c659d9c60"
    "467eb07f4c4f5c61385192c2a3855320418188554282be9f7f604236405a9ece9e6f3f0f337680504184c3ab"
    "93673825";

Tensor bytes_from(std::string_view hexadecimal) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < hexadecimal.size(); i += 2)
    values.push_back(digit(hexadecimal[i]) * 16 + digit(hexadecimal[i + 1]));
  return at::tensor(values, at::kLong);
}

Condition images_with(const std::string& keys) {
  return declared("[model]\nkind = \"mlp\"\n[data]\nkind = \"mnist\"\n" + keys).trial(0).condition;
}

TEST_CASE("images are resized as PIL does it, smaller and larger") {
  for (const auto& [from, to, expected] :
       {std::tuple(32, 28, k32To28), std::tuple(9, 20, k9To20)}) {
    const auto found = resized(picture(from, from), to).flatten().to(at::kLong);
    CHECK(at::equal(found, bytes_from(expected)));
  }
}

TEST_CASE("grey becomes colours, is shifted and scaled; bytes stay bytes until then") {
  const ExampleSet grey(picture(4, 4), at::zeros({1}, at::kLong));
  const auto data =
      prepared({.shape = {.input = {1, 4, 4}, .classes = 10}, .train = grey, .test = grey},
               images_with("channels = 3\nmean = [0.4914, 0.4822, 0.4465]\n"
                           "std = [0.2470, 0.2435, 0.2616]\n"));
  CHECK(data.shape.input == std::vector<std::int64_t>{3, 4, 4});
  CHECK(data.train.inputs().dtype() == at::kByte);
  const auto batch = data.train.range(0, 1);
  REQUIRE(batch.inputs.sizes() == at::IntArrayRef({1, 3, 4, 4}));
  // torchvision's Normalize.
  const auto expected = at::tensor({0.9159801006317139, 0.9669284820556641, 1.0364949703216553});
  CHECK(at::allclose(batch.inputs.index({0, at::indexing::Slice(), 1, 2}), expected.to(at::kFloat),
                     0, 1e-6));
  // Whether it is done once or for every batch, and to whichever examples.
  const auto once = data.train.finished(1 << 20);
  CHECK(once.inputs().dtype() == at::kFloat);
  CHECK(at::equal(once.range(0, 1).inputs, batch.inputs));
  CHECK(at::equal(data.train.gather(at::zeros({1}, at::kLong)).inputs, batch.inputs));
  CHECK(data.train.finished(3 * 16 * 4 - 1).inputs().dtype() == at::kByte);
}

TEST_CASE("a resized data set says its size") {
  const ExampleSet grey(picture(8, 8), at::zeros({1}, at::kLong));
  const auto data =
      prepared({.shape = {.input = {1, 8, 8}, .classes = 10}, .train = grey, .test = grey},
               images_with("resize = 5\n"));
  CHECK(data.shape.input == std::vector<std::int64_t>{1, 5, 5});
  CHECK(data.train.inputs().sizes() == at::IntArrayRef({1, 1, 5, 5}));
}

}  // namespace
}  // namespace perturb
